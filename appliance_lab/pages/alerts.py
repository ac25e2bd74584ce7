"""roles/monitoring/files/alerts.rules: run this module, its output is the file.

An alert of what a node knows of itself is made from the table of checks (`appliance/monitor/checks.py: ALERTS`). Beside
that table `alerts.yml` has its French texts, and the expressions of all others.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from appliance.agent import letters
from appliance.monitor import checks, held, scrape, states, status
from appliance.monitor.checks import ALERTS, Alert
from appliance.monitor.metrics import CHECK, STATES
from appliance.portal.dashboard import readings, reasons

SOURCE = Path(checks.__file__).with_name("alerts.yml")
HEAD = """\
# Written by `make docs` from appliance/monitor/checks.py and appliance/monitor/alerts.yml, which says more of each.
"""
ADDED = {"backup": "subject", "peer": "node"}
"""Labels that routes and pages use, and the label of a check that says the same."""
THRESHOLDS = {it.__name__.rpartition(".")[2]: it for it in (held, letters, readings, reasons, scrape, states, status)}


def rules() -> str:
    groups = yaml.safe_load(SOURCE.read_text("utf-8"))
    made = [{**it, "rules": [_rule(rule) for rule in it["rules"]]} for it in groups]
    return HEAD + yaml.safe_dump({"groups": made}, allow_unicode=True, sort_keys=False, width=10_000)


def _rule(words: Mapping[str, Any]) -> dict[str, Any]:
    if "record" in words:
        return {"record": words["record"], "expr": _with_thresholds(words["expr"])}
    name = words["alert"]
    known = ALERTS.get(name)
    severity = known.severity if known else words["severity"]
    texts = {it: _with_figure(words[it], words.get("figure", "")) for it in ("summary", "description")}
    return {
        "alert": name,
        "expr": _with_thresholds(" or ".join(_expressions(words, known))),
        **({"for": words["for"]} if "for" in words else {}),
        "labels": {"severity": severity, **({"public": "yes"} if words.get("public") else {})},
        "annotations": {**texts, "runbook_url": f"{{{{ $externalURL }}}}/user/{name}.md"},
    }


def _expressions(words: Mapping[str, Any], known: Alert | None) -> Iterator[str]:
    if known is None:
        yield words["expr"]
        return
    is_one_of = "=" if len(known.checks) == 1 else "=~"
    made = f'{CHECK.full_name}{{check{is_one_of}"{"|".join(known.checks)}"}} {_condition(known.states)}'
    for label in words.get("adds", ()):
        made = f'label_replace({made}, "{label}", "$1", "{ADDED[label]}", "(.+)")'
    made = f"{words['over']} ({made})" if "over" in words else made
    yield _at_origin(made) if words.get("at_origin") else made
    if "or" in words:
        yield words["or"]


def _at_origin(made: str) -> str:
    """`made`, of services, with the site of its origin where that is known; nothing while that site restarts."""
    site, restarts = "backup:origin_site:max", "(site:restarts:max == 1)"
    told = f"({made}) * on (backup) group_left (site) {site} unless on (site) {restarts}"
    return f"{told} or ({made}) unless on (backup) {site}"


def _condition(wanted: tuple[states.State, ...]) -> str:
    """The condition that a check is in one of `wanted`; where the machine has nothing to check, it is in none."""
    worst, *others = sorted((STATES[it] for it in wanted), reverse=True)
    if not others:
        return f"== {worst}"
    left_out = (it for it in range(others[-1], worst) if it not in others)
    return " ".join((f">= {others[-1]}", *(f"!= {it}" for it in left_out)))


def _with_thresholds(expression: str) -> str:
    return re.sub(r"<(\w+)\.([A-Z_]+)>", lambda it: f"{getattr(THRESHOLDS[it[1]], it[2]):g}", expression)


def _with_figure(text: str, figure: str) -> str:
    """`text` with each `figure` in it as Prometheus asks for it when it sends the alert."""
    if not figure:
        return text
    here = r"(?<=[{,])(node|backup)(?=[,}])"
    asked, labels = re.sub(here, r"\1=%q", figure), re.findall(here, figure)
    query = f"query (printf `{asked}` {' '.join(f'$labels.{it}' for it in labels)})"
    text = re.sub(r"\{\{ figure\.(\w+) \}\}", r'{{ with figure }}{{ . | first | label "\1" }}{{ end }}', text)
    text = re.sub(
        r"\{\{ figure((?: \| \w+)?) \}\}", r"{{ with figure }}{{ . | first | value\1 }}{{ else }}?{{ end }}", text
    )
    return text.replace("{{ with figure }}", f"{{{{ with {query} }}}}")


def main() -> None:
    print(rules(), end="")


if __name__ == "__main__":
    main()
