"""A page in a real browser: opened as somebody, looked at by axe, walked by keyboard alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.integration.portal.world import World

AXE = Path(__file__).parent / "axe"
VIOLATIONS = """async (locale) => {
  axe.configure({locale: JSON.parse(locale)});
  const rules = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
  const found = await axe.run(document, {runOnly: rules});
  const told = (node) => `${node.target} ${node.failureSummary}`;
  return found.violations.map((it) => `${it.id}: ${it.help}: ${it.nodes.map(told).join(" | ")}`);
}"""
FOCUSED = """() => {
  const it = document.activeElement, style = getComputedStyle(it);
  const name = it.innerText || it.value || it.getAttribute("aria-label") || it.id || "";
  return {name: name.trim(), tag: it.tagName, outline: parseFloat(style.outlineWidth) || 0, style: style.outlineStyle};
}"""
TABS_MAX = 80


def open_as(browser: Any, world: World, name: str = "", **options: Any) -> Any:
    """A page of `name`'s, not yet anywhere."""
    context = browser.new_context(base_url=world.address, locale="fr-FR", **options)
    if name:
        world.visit(name)
        context.add_cookies([{"name": "portail", "value": world.sessions[name], "url": world.address}])
    page = context.new_page()
    page.faults = []
    page.on("console", lambda message: page.faults.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: page.faults.append(str(error)))
    return page


def violations(page: Any) -> list[str]:
    """What axe finds wrong with the page, in French."""
    # By the debugger and not by a <script>, which our own policy would refuse.
    page.evaluate(AXE.joinpath("axe.min.js").read_text())
    found: list[str] = page.evaluate(VIOLATIONS, json.dumps(json.loads(AXE.joinpath("fr.json").read_text())))
    return found


def tab_to(page: Any, text: str, tag: str = "") -> None:
    """Press Tab until the focus is on what is called `text`, and see at each step where the focus is."""
    for _ in range(TABS_MAX):
        page.keyboard.press("Tab")
        focused = page.evaluate(FOCUSED)
        if focused["tag"] == "BODY":
            continue
        assert focused["outline"] >= 2, f"the focus cannot be seen on {focused}"
        assert focused["style"] != "none", f"the focus cannot be seen on {focused}"
        if text in focused["name"] and tag in ("", focused["tag"]):
            return
    raise AssertionError(f"the keyboard never came to {text}")
