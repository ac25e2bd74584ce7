"""The one dashboard for those who have Grafana, as JSON: `python3 -m appliance_lab.pages.grafana` prints it.

Nothing of ours needs Grafana. Titles are French, as all that the maintenance team sees; names of metrics come from
`appliance/monitor/metrics.py` and the rules.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from appliance.monitor import metrics
from appliance.monitor.held import QUOTA_WARNING
from appliance.monitor.states import LATE, TOO_LATE
from appliance.portal.dashboard.reasons import HOT_CELSIUS
from appliance.units import DAY

UID, TITLE = "appliance-territoire", "Territoire : le plus mal en premier"
SOURCE = {"type": "prometheus", "uid": "${source}"}
WIDTH = 24
GREEN, YELLOW, RED = "green", "yellow", "red"
STATES = (("bien", GREEN), ("à regarder", YELLOW), ("inconnu", "purple"), ("en panne", RED))


@dataclass(frozen=True)
class Panel:
    """`expression` with one line or row for each series, called `legend`; `warning` and `failed` colour it from there
    on. `width` of WIDTH."""

    title: str
    kind: str
    expression: str
    legend: str
    unit: str = "short"
    warning: float | None = None
    failed: float | None = None
    width: int = 12
    height: int = 8


def _full(metric: metrics.Metric) -> str:
    return metric.full_name


AGE = f"(time() - ({_full(metrics.SAFE)} or {_full(metrics.UNSAFE)})) / on (node, backup) {_full(metrics.RPO)}"
LAG = "time() - replica:newest_timestamp_seconds:min"
TOWN = f"* on (node) group_left (commune) max by (node, commune) ({_full(metrics.COMMUNE)})"
LACKS = f'max by (node, subject) ({_full(metrics.CHECK)}{{check="whole",role="written"}}) > 0'
OF_BACKUP = f'label_replace({LACKS}, "backup", "$1", "subject", "(.+)")'
PARTIAL = f"(time() - {_full(metrics.UNSAFE)}) and on (node, backup) {OF_BACKUP}"
ROOM = f"{_full(metrics.SIZE)} / {_full(metrics.QUOTA)}"
BURST = f"{_full(metrics.NEW_BYTES)} / {_full(metrics.BYTES)}"
DRILL = f"{_full(metrics.DRILL_SECONDS)} / on (backup) group_left () max by (backup) ({_full(metrics.RTO)})"
FREE = f"1 - {_full(metrics.DISK_FREE)} / {_full(metrics.DISK_SIZE)}"

PANELS = (
    Panel("État de chaque nœud", "stat", f"max by (node) ({_full(metrics.CHECK)})", "{{node}}", width=24, height=5),
    Panel("Alertes ouvertes", "table", 'ALERTS{alertstate="firing",severity=~"warning|critical"}', "", width=24),
    Panel(
        "Âge de la dernière sauvegarde sûre (ou attente de la première), en RPO",
        *("bargauge", f"sort_desc({AGE})", "{{backup}}", "none", LATE, TOO_LATE, 12),
    ),
    Panel("Copies montrées par les pairs", "bargauge", "sort(backup:copies_shown:count)", "{{backup}}", "none"),
    Panel(
        "Sauvegarde partielle : depuis quand il manque quelque chose, la pire commune d'abord",
        *("bargauge", f"sort_desc(({PARTIAL}) {TOWN})", "{{commune}} : {{backup}}", "s", 0, 3 * DAY, 24, 5),
    ),
    Panel("Âge de chaque copie, vu du pair", "timeseries", LAG, "{{backup}} → {{peer}}", "s"),
    Panel("Place prise chez les pairs", "timeseries", ROOM, "{{backup}} → {{peer}}", "percentunit", QUOTA_WARNING, 1),
    Panel("Part de données nouvelles", "timeseries", BURST, "{{backup}}", "percentunit", 0.25, 0.5),
    Panel("Dernier test de restauration, en RTO", "bargauge", DRILL, "{{backup}} sur {{node}}", "none", 0.8, 1),
    Panel("Dernières vérifications", "table", f"time() - {_full(metrics.CHECKED)}", "", "s"),
    Panel("Travaux qui échouent", "timeseries", f"{_full(metrics.WORK_FAILURES)} > 0", "{{node}} {{kind}} {{backup}}"),
    Panel("Disque des données", "timeseries", FREE, "{{node}}", "percentunit", 0.85, 0.95),
    Panel("Température", "timeseries", "node:temperature_celsius:max", "{{node}}", "celsius", 70, HOT_CELSIUS),
    Panel("Puissance électrique", "timeseries", "node:power_watts:sum", "{{node}}", "watt"),
    Panel("Messages qui attendent", "timeseries", _full(metrics.OUTBOX_WAITING), "{{node}}", "none", 1, 10),
)


def dashboard() -> dict[str, Any]:
    choose = {"name": "source", "type": "datasource", "query": "prometheus", "label": "Prometheus"}
    return {
        "uid": UID,
        "title": TITLE,
        "tags": ["appliance"],
        "timezone": "browser",
        "schemaVersion": 39,
        "refresh": "1m",
        "time": {"from": "now-7d", "to": "now"},
        "templating": {"list": [choose]},
        "panels": _placed(),
    }


def _placed() -> list[dict[str, Any]]:
    """The panels from left to right, a new line where the next one does not fit."""
    made, x, y, line = [], 0, 0, 0
    for number, panel in enumerate(PANELS, 1):
        if x + panel.width > WIDTH:
            x, y, line = 0, y + line, 0
        made.append(_panel(panel, number, {"x": x, "y": y, "w": panel.width, "h": panel.height}))
        x, line = x + panel.width, max(line, panel.height)
    return made


def _panel(panel: Panel, number: int, place: dict[str, int]) -> dict[str, Any]:
    instant = panel.kind != "timeseries"
    target = {
        "refId": "A",
        "datasource": SOURCE,
        "expr": panel.expression,
        "legendFormat": panel.legend,
        "instant": instant,
        "range": not instant,
        "format": "table" if panel.kind == "table" else "time_series",
    }
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "datasource": SOURCE,
        "gridPos": place,
        "targets": [target],
        "fieldConfig": {"defaults": _looks(panel), "overrides": []},
        "options": {"reduceOptions": {"calcs": ["lastNotNull"]}} if panel.kind in ("stat", "bargauge") else {},
    }


def _looks(panel: Panel) -> dict[str, Any]:
    if panel.kind == "stat":
        words = {str(value): {"text": word, "color": colour} for value, (word, colour) in enumerate(STATES)}
        return {"mappings": [{"type": "value", "options": words}]}
    steps: list[dict[str, Any]] = [{"color": GREEN, "value": None}]
    steps += [
        {"color": colour, "value": value}
        for colour, value in ((YELLOW, panel.warning), (RED, panel.failed))
        if value is not None
    ]
    return {"unit": panel.unit, "thresholds": {"mode": "absolute", "steps": steps}}


def main() -> None:
    print(json.dumps(dashboard(), ensure_ascii=False, indent=1))


if __name__ == "__main__":
    main()
