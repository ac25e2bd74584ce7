"""docs/reference/metrics.md, from where metrics and alerts are declared: run this module, its output is the page."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache

import yaml

from appliance.monitor import scrape
from appliance.monitor.metrics import LABELS, METRICS, OF_A_PLUG, OF_AN_OUTBOX, PREFIX, Metric
from appliance_lab.pages.alerts import SOURCE, rules

HEAD = f"""# Metrics

Written by `make docs` from `appliance/monitor/metrics.py` and the alerts that name each metric. Prometheus reads them
as [Watch the territory](../how-to/monitor.md) says; [another page](metrics-left-out.md) has those that no node makes.

- All are gauges: a node reports states and counts nothing. Units are in the names: seconds, bytes, watts.
- `_timestamp_seconds` is a moment, in seconds since 1970, UTC. An age is `time() - ...`, and goes on growing when the
  node falls silent.
- A value that is not known has no sample, never 0. `{PREFIX}check_state` says that it is unknown.
- Prometheus adds {{by_prometheus}} to each; a label of that name in an answer is dropped or renamed.
"""
# In the order in which they are looked for: a title, and how the names below it begin.
GROUPS = (
    ("Backups, from the node that writes the service", ("backup_", "envelope_")),
    ("Copies, from the peer that holds them", ("repo_", "replica_", "holder_")),
    ("Checks, restore tests and the catalogue", ("check_last_", "restore_test_", "index_")),
    ("Failover", ("failover_", "node_quarantined")),
    ("Notifications, from the queue of a monitoring node", tuple(it.name for it in OF_AN_OUTBOX)),
    ("Power, through node_exporter", tuple(it.name for it in OF_A_PLUG)),
    ("The node", ("",)),
)
ALERTS_SHOWN = 4
RECORDED = """
## Recorded by Prometheus

The rules of the role `monitoring` compute these from the metrics above and from those of other programs.

| metric | meaning | alerts |
| --- | --- | --- |
"""
OTHERS = """
## Of other programs

Of each answer Prometheus keeps names that begin so, and drops all others (`roles/monitoring/files/scrape.json`). The
programs themselves say what each means.

| program | names |
| --- | --- |
"""


def page() -> str:
    """The whole page, in Markdown."""
    by_prometheus = _named(it for it in scrape.BY_PROMETHEUS if it[0] != "_")
    sections = "".join(_section(title, metrics) for title, metrics in grouped().items())
    return HEAD.format(by_prometheus=by_prometheus) + sections + _labels() + _recorded() + _others()


def grouped() -> Mapping[str, list[Metric]]:
    """Each metric under the first title that fits, the node's own first."""
    found: dict[str, list[Metric]] = {title: [] for title, _ in (GROUPS[-1], *GROUPS)}
    for metric in METRICS:
        title = next(title for title, beginnings in GROUPS if metric.name.startswith(beginnings))
        found[title].append(metric)
    return found


def alerts_reading(name: str) -> list[str]:
    """The alerts whose expression names the metric, in the order of their file."""
    return [it["alert"] for it in _rules() if "alert" in it and _reads(it["expr"], name)]


def recorded() -> Mapping[str, str]:
    """The meaning of each metric that a rule records."""
    declared = (rule for group in yaml.safe_load(SOURCE.read_text("utf-8")) for rule in group["rules"])
    return {rule["record"]: rule["meaning"] for rule in declared if "record" in rule}


@cache
def _rules() -> Sequence[Mapping[str, str]]:
    return [rule for group in yaml.safe_load(rules())["groups"] for rule in group["rules"]]


def _reads(expression: str, name: str) -> bool:
    return bool(re.search(rf"(?<![\w:]){re.escape(name)}(?![\w:])", expression))


def _section(title: str, metrics: list[Metric]) -> str:
    rows = (f"| `{it.full_name}` | {_named(it.labels)} | {it.help}. | {_links(it.full_name)} |\n" for it in metrics)
    return f"\n## {title}\n\n| metric | labels | meaning | alerts |\n| --- | --- | --- | --- |\n" + "".join(rows)


def _named(words: Iterable[str]) -> str:
    return ", ".join(f"`{word}`" for word in words)


def _links(name: str) -> str:
    found = alerts_reading(name)
    if len(found) > ALERTS_SHOWN:
        return f"{len(found)} [alerts](../runbooks/README.md)"
    return ", ".join(f"[{it}](../runbooks/{it}.md)" for it in found)


def _labels() -> str:
    rows = "".join(f"| `{label}` | {meaning} |\n" for label, meaning in LABELS.items())
    return f"\n## Labels\n\n| label | value |\n| --- | --- |\n{rows}"


def _recorded() -> str:
    rows = (f"| `{name}` | {meaning}. | {_links(name)} |\n" for name, meaning in recorded().items())
    return RECORDED + "".join(rows)


def _others() -> str:
    rows = (f"| {job} | {_named(f'{it}_' for it in names)} |\n" for job, names in scrape.OTHERS.items())
    return OTHERS + "".join(rows)


if __name__ == "__main__":
    print(page(), end="")
