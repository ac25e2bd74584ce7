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
UNFOLD = """() => document.querySelectorAll("details").forEach((it) => { it.open = true; })"""
NAMED = """(it) => [it.tagName, it.id, it.name, it.value, it.href, it.innerText].join("|")"""
PRESSED = f"""() => {{
  const found = 'a[href], button, input:not([type=hidden]), select, summary, [tabindex="0"]';
  return [...document.querySelectorAll(found)].filter((it) => it.checkVisibility()).map({NAMED});
}}"""
FOCUSED = f"""() => {{
  const it = document.activeElement, style = getComputedStyle(it), box = it.getBoundingClientRect();
  const on_screen = box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth;
  const label = it.labels && it.labels.length ? it.labels[0].innerText : "";
  const name = label || it.innerText || it.value || it.getAttribute("aria-label") || it.id || "";
  const outline = style.outlineStyle === "none" ? 0 : parseFloat(style.outlineWidth) || 0;
  return {{name: name.trim(), tag: it.tagName, is: ({NAMED})(it), outline, on_screen}};
}}"""
WAYS: dict[str, dict[str, Any]] = {
    "on a phone of 320 pixels": {"viewport": {"width": 320, "height": 568}, "is_mobile": True, "has_touch": True},
    # What a browser lays out on a screen of 1280 by 1024 at 400 %: each pixel is four of the screen's, both ways.
    "at 400 %": {"viewport": {"width": 320, "height": 256}, "device_scale_factor": 4},
    "in forced colours, without motion": {"forced_colors": "active", "reduced_motion": "reduce"},
    "without JavaScript": {"java_script_enabled": False},
}
"""How people look at a page who cannot look at it as others do."""
WIDTHS = "() => [document.documentElement.scrollWidth, innerWidth]"
HEIGHTS = """() => [...document.querySelectorAll("button, select, input:not([type=hidden]):not([type=checkbox])")]
  .filter((it) => it.checkVisibility()).map((it) => it.offsetHeight)"""
MOVES = """() => [...document.querySelectorAll("*")].some((it) => {
  const style = getComputedStyle(it);
  return [style.transitionDuration, style.animationDuration].some((time) => parseFloat(time) > 0);
})"""
TABS_MAX, TABS_MORE = 80, 5


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


def click(page: Any, role: str, name: str) -> None:
    """Click the last one of that name, of an old version rather than of a new one, and be on the page it leads to."""
    with page.expect_navigation():
        page.get_by_role(role, name=name).last.click()


def violations(page: Any) -> list[str]:
    """Return what axe finds wrong with the page, in French; folded parts are opened, since axe passes over them."""
    page.evaluate(UNFOLD)
    if not page.evaluate("'axe' in window"):
        # By the debugger and not by a <script>, which our own policy would refuse.
        page.evaluate(AXE.joinpath("axe.min.js").read_text())
    found: list[str] = page.evaluate(VIOLATIONS, json.dumps(json.loads(AXE.joinpath("fr.json").read_text())))
    return found


def check_whole(page: Any, way: str) -> None:
    """The page opened with WAYS[way] is all there: it fits, it is still, nothing in it does nothing, and the keyboard
    comes everywhere."""
    page.evaluate(UNFOLD)
    wide, screen = page.evaluate(WIDTHS)
    assert wide <= screen == page.viewport_size["width"], "one would have to push it to and fro"
    assert min(page.evaluate(HEIGHTS), default=44) >= 44, "a finger needs 44 pixels"
    assert not page.evaluate(MOVES)
    if way.startswith("in forced colours"):
        assert violations(page) == []
    if way == "without JavaScript":
        idle = page.locator("button:not([type=submit]), [data-ticks]")
        assert not any(idle.nth(number).is_visible() for number in range(idle.count())), "it would do nothing"
    walk(page)


def tab_to(page: Any, text: str, tag: str = "", key: str = "Tab") -> None:
    """Press Tab until the focus is on what is called `text`, and see at each step where the focus is."""
    for _ in range(TABS_MAX):
        page.keyboard.press(key)
        focused = page.evaluate(FOCUSED)
        if focused["tag"] == "BODY":
            continue
        _check_is_seen(focused)
        if text in focused["name"] and tag in ("", focused["tag"]):
            return
    raise AssertionError(f"the keyboard never came to {text}")


def walk(page: Any) -> None:
    """Press Tab through the whole page: whatever can be pressed is come to, is on the screen then, and shows it."""
    pressed = page.evaluate(PRESSED)
    missed = dict.fromkeys(pressed)
    for _ in range(len(pressed) + TABS_MORE):
        page.keyboard.press("Tab")
        focused = page.evaluate(FOCUSED)
        if focused["tag"] == "BODY":
            continue
        _check_is_seen(focused)
        missed.pop(focused["is"], None)
        if not missed:
            return
    raise AssertionError(f"the keyboard never came to {list(missed)}")


def _check_is_seen(focused: dict[str, Any]) -> None:
    assert focused["on_screen"], f"the focus is beyond the screen on {focused}"
    assert focused["outline"] >= 2, f"the focus cannot be seen on {focused}"
