"""The bounds on what Prometheus takes of an answer, for each job; run this module to write the role's `scrape.json`.

A node's root can answer a scrape with anything. Two things follow from the bounds here: only known names with their own
labels are kept of an answer, and only about the node itself; and an answer beyond these bounds is refused whole, so
that its target counts as silent, which is reported. A label too many is more than noise: where a rule compares two
measures of a node, a second series with one label more ends the evaluation of that rule for all towns.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence

from appliance.monitor.metrics import ABOUT_OTHERS, METRICS, OF_A_PLUG, OF_AN_OUTBOX

SAMPLES_MAX = 20_000
"""The samples of one answer: ten times those of a node with many services."""
BYTES_MAX = 4 * 1024 * 1024
LABELS_MAX = 24
LABEL_NAME_MAX = 64
LABEL_VALUE_MAX = 512
"""In bytes: a path where something is mounted is one."""

LIMITS: Mapping[str, object] = {
    "sample_limit": SAMPLES_MAX,
    "body_size_limit": f"{BYTES_MAX}B",
    "label_limit": LABELS_MAX,
    "label_name_length_limit": LABEL_NAME_MAX,
    "label_value_length_limit": LABEL_VALUE_MAX,
}
BY_PROMETHEUS = ("__name__", "job", "instance", "node", "site")
"""Labels that come from the server that scrapes; labels of an answer under these names become `exported_...`."""
BY_RULES = ("alertname", "alertstate", "severity", "public")
"""Labels that rules add: an answer that has them makes two alerts of one."""
PRESENCE, ANSWERED = "presence", "probe_success"
"""The job that asks each machine every few seconds, and the one thing that is taken of it."""
OTHERS: Mapping[str, tuple[str, ...]] = {
    "node": ("node", "smartmon", "nvme", "apt", "network_ups_tools"),
    "prometheus": ("prometheus", "process", "go", "net"),
    "alertmanager": ("alertmanager", "process", "go", "net"),
    "blackbox": ("blackbox", "process", "go"),
    "services": ("probe",),
    PRESENCE: ("probe",),
}
"""How the names of other programs begin; what node_exporter reads from our own files comes besides."""
SELF = "__tmp_self"

type Rule = Mapping[str, object]


def jobs() -> Mapping[str, Mapping[str, object]]:
    """The settings of each job of `prometheus.yml` that bound what it takes."""
    ours = _names(it.full_name for it in METRICS if it not in OF_AN_OUTBOX)
    taken = {"appliance": (_keep_names(ours), *_labels_of_ours(), *_only_itself())}
    taken["outbox"] = (_keep_names(_names(it.full_name for it in OF_AN_OUTBOX)),)
    plug = _names(it.full_name for it in OF_A_PLUG)
    for job, prefixes in OTHERS.items():
        names = f"(?:{'|'.join(prefixes)})_.+" + (f"|{plug}" if job == "node" else "")
        names = ANSWERED if job == PRESENCE else names
        taken[job] = (_keep_names(names), _drop_labels_of_ours())
    return {job: {**LIMITS, "metric_relabel_configs": list(rules)} for job, rules in taken.items()}


def _names(names: Iterable[str]) -> str:
    return "|".join(sorted(names))


def _keep_names(names: str) -> Rule:
    return {"source_labels": ["__name__"], "regex": names, "action": "keep"}


def _labels_of_ours() -> Sequence[Rule]:
    """No label that is not ours, and each on the metrics alone that have it."""
    labels = sorted({label for it in METRICS for label in it.labels} - set(BY_PROMETHEUS))
    own = (_keep_where(label) for label in labels)
    known = "|".join((*BY_PROMETHEUS, *labels))
    return ({"regex": known, "action": "labelkeep"}, *own)


def _keep_where(label: str) -> Rule:
    having = _names(it.full_name for it in METRICS if label in it.labels)
    return {"source_labels": ["__name__", label], "regex": f"(?:{having});.*|[^;]*;", "action": "keep"}


def _only_itself() -> Sequence[Rule]:
    """A metric of the copy at a peer comes from that peer, or it is dropped."""
    held = _names(it.full_name for it in METRICS if "peer" in it.labels and it not in ABOUT_OTHERS)
    return (
        {"source_labels": ["node"], "target_label": SELF},
        {"source_labels": ["__name__", "peer"], "regex": f"(?:{held});(.*)", "target_label": SELF, "replacement": "$1"},
        {"source_labels": ["node"], "target_label": SELF, "action": "keepequal"},
        {"regex": SELF, "action": "labeldrop"},
    )


def _drop_labels_of_ours() -> Rule:
    """Labels by which our rules tell services, peers and alerts apart: nobody else's program has them."""
    theirs = {"source", "kind", "role", "version", "site"}
    ours = {label for it in METRICS for label in it.labels} - theirs
    return {"regex": "|".join(("exported_.+", *BY_RULES, *sorted(ours))), "action": "labeldrop"}


def main() -> None:
    print(json.dumps(jobs(), indent=1))


if __name__ == "__main__":
    main()
