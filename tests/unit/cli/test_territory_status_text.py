"""`appliance territory status` as text and as JSON: the worst node first, and one sentence for a silent one."""

from __future__ import annotations

from appliance.cli.language.sentences import sentences_of
from appliance.cli.language.spoken import Voice
from appliance.cli.territory.status_text import Row, status_json, status_text, worst_first
from appliance.errors import Unreachable
from appliance.monitor.states import ORDER, Judged, Reason
from appliance.monitor.status import Status
from appliance.territory.model import Node

SILENT = Unreachable("no answer (Connection refused).", where="10.0.0.1:22", remedy="Check that it is switched on.")
FULL = Reason("failed", "the disk is full.", "Free space.", "disk")
LATE = Reason("warning", "the newest generation is 30 h old.", "Type `appliance backup run docs-b`.", "backup-age")


def row(name: str, *served: Judged, own: tuple[Reason, ...] = (), silent: bool = False) -> Row:
    node = Node(name=name, site=name, address="10.0.0.1", port=22, disk_bytes=1, offered_bytes=1, uplink="fibre")
    found = Status(name, (Judged(name, "node", "agent running", own), *served))
    found = Status(name, tuple(sorted(found.judged, key=lambda it: ORDER.index(it.state))))
    return Row(node, name.title(), SILENT if silent else found)


def written(*reasons: Reason) -> Judged:
    return Judged("docs-b", "written", "safe: 2 of 2", reasons)


ROWS = [
    row("well", written()),
    row("silent", silent=True),
    row("late", written(LATE)),
    row("worse", written(LATE, LATE), own=(FULL, FULL)),
    row("bad", own=(FULL,)),
]


def test_the_worst_node_comes_first_and_then_the_one_with_the_most_reasons() -> None:
    assert [it.node.name for it in worst_first(ROWS)] == ["worse", "bad", "silent", "late", "well"]


def test_each_node_has_a_line_and_below_it_its_three_worst_reasons() -> None:
    assert status_text(worst_first(ROWS), 1.23, every_reason=False).splitlines() == [
        "failed   worse   Worse: agent running, writes 1 (0 well)",
        "         failed: the disk is full. Free space.",
        "         failed: the disk is full. Free space.",
        "         warning: docs-b (written here): the newest generation is 30 h old. "
        "Type `appliance backup run docs-b`.",
        "         and 1 more: --all shows them",
        "failed   bad     Bad: agent running",
        "         failed: the disk is full. Free space.",
        "unknown  silent  Silent: 10.0.0.1:22: no answer (Connection refused). Check that it is switched on.",
        "warning  late    Late: agent running, writes 1 (0 well)",
        "         warning: docs-b (written here): the newest generation is 30 h old. "
        "Type `appliance backup run docs-b`.",
        "ok       well    Well: agent running, writes 1",
        "Type a remedy on the node that names it, as root; `appliance doctor` there says more.",
        "4 of 5 nodes answered in 1.2 s: 2 failed, 1 unknown, 1 warning, 1 ok.",
    ]


def test_every_reason_is_shown_when_all_are_asked_for() -> None:
    shown = status_text(worst_first(ROWS), 1.0, every_reason=True)
    assert shown.count("30 h old") == 3
    assert "more: --all" not in shown


def test_where_all_is_well_nothing_is_proposed() -> None:
    shown = status_text([ROWS[0]], 0.5, every_reason=False).splitlines()
    assert shown == [
        "ok       well  Well: agent running, writes 1",
        "1 of 1 node answered in 0.5 s: 1 ok.",
    ]


def test_as_json_a_silent_node_has_its_error_and_every_other_what_it_said() -> None:
    shown = status_json("valley", worst_first(ROWS), 1.234)
    assert (shown["territory"], shown["state"], shown["answered"], shown["seconds"]) == ("valley", "failed", 4, 1.23)
    silent = next(it for it in shown["nodes"] if it["node"] == "silent")
    assert silent == {
        "node": "silent",
        "site": "silent",
        "address": "10.0.0.1",
        "port": 22,
        "state": "unknown",
        "answered": False,
        "error": "10.0.0.1:22: no answer (Connection refused).",
        "remedy": "Check that it is switched on.",
        "judged": [],
    }
    bad = next(it for it in shown["nodes"] if it["node"] == "bad")
    assert (bad["answered"], bad["error"]) == (True, "")
    assert bad["judged"][0]["reasons"][0]["sentence"] == "the disk is full."


def test_in_french_what_a_node_of_another_version_says_is_quoted() -> None:
    known = sentences_of("fr")
    shown = status_text(worst_first(ROWS), 1.23, every_reason=False, voice=Voice(known.say, known.say_or_quote))
    lines = [line.replace("\u00a0", " ") for line in shown.splitlines()]
    assert lines[0] == "en panne   worse   Worse : « agent running », écrit 1 (0 bien)"
    assert lines[1] == "           en panne : le disque est plein. « Free space. »"
    assert lines[3].startswith(
        "           attention : docs-b (écrit ici) : « the newest generation is 30 h old. » Tapez `"
    )
    assert lines[4] == "           et 1 de plus : --all les montre"
    assert (
        lines[7]
        == "inconnu    silent  Silent : 10.0.0.1:22 : pas de réponse (connexion refusée). Vérifiez qu'il est allumé."
    )
    assert lines[-1] == "4 nœuds sur 5 ont répondu en 1,2 s : 2 en panne, 1 inconnu, 1 attention, 1 bien."
