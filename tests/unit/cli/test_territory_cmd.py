"""`appliance territory` as a user types it: one sentence per mistake, plans that can be compared."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from appliance.cli import main
from appliance.cli.signed_bundle import signed_bundle
from appliance.cli.territory.text import checked_text
from appliance.config.load import load
from appliance.territory.outcomes import outcomes
from appliance.territory.placement import place
from appliance.trust.bundle import make_bundle
from appliance.trust.keys import create_key, load_key

ROOT = Path(__file__).parents[3]
DEMO = ROOT / "inventory" / "demo"
EXAMPLE = ROOT / "inventory" / "example"


def run(capsys: pytest.CaptureFixture[str], *words: str | Path) -> tuple[int, str, str]:
    code = main.run(["territory", *map(str, words)])
    told = capsys.readouterr()
    return code, told.out, told.err


def changed(tmp_path: Path, old: str, new: str) -> Path:
    text = (DEMO / "territory.yml").read_text("utf-8")
    assert text.count(old) == 1
    file = tmp_path / "territory.yml"
    file.write_text(text.replace(old, new), "utf-8")
    return file


def test_check_says_of_the_example_what_only_planned_copies_would_survive(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "check", EXAMPLE)
    assert (code, err) == (0, "")
    assert "21 sites, 21 nodes, 47 services. No mistakes, and every copy has a place." in out
    assert "they are not counted: disque-tournant, pair-exterieur." in out
    assert "Not everything survives each of the 251 events:" in out
    assert "the whole territory lost: 47 of 47 services are lost" in out
    assert "disque-tournant (up to 30 d old) would be left, but nothing writes there yet." in out


def test_check_says_that_everything_survives_where_it_does() -> None:
    found = load(DEMO)
    surviving = [it for it in outcomes(found, place(found)) if not it.lost]
    assert checked_text("demo", found, surviving).endswith("Every service survives each of the 14 events.")


def test_plan_counts_planned_copies_in_a_column_of_their_own(capsys: pytest.CaptureFixture[str]) -> None:
    out = run(capsys, "plan", EXAMPLE)[1]
    (row,) = [line.split() for line in out.splitlines() if line.startswith("control machine compromised")]
    assert row[3:7] == ["0", "of", "47", "0"]
    assert row[-3:] == ["47", "of", "47"]
    assert "they are not counted: disque-tournant, pair-exterieur." in out
    assert "AS PLANNED" not in run(capsys, "plan", DEMO)[1]
    values = json.loads(run(capsys, "plan", EXAMPLE, "--json")[1])
    assert values["planned_only"] == ["disque-tournant", "pair-exterieur"]
    lost = [it for it in values["verdicts"] if it["event"] == "control machine compromised"]
    assert {(it["survives"], it["survives_as_planned"], *it["where"]) for it in lost} == {(False, True)}
    assert {"disque-tournant"} < {name for it in lost for name in it["planned"]}


def test_check_tells_what_the_demo_does_not_survive(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "check", DEMO)
    assert code == 0
    assert "4 nodes, 1 service." in out
    assert "control machine compromised: docs-a is lost." in out


def test_check_says_when_a_declared_quota_will_not_last_and_what_would_do(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """200 G with 1 G a day were refused on day 29 to 128 by all holders about together, and no mistake was found."""
    file = changed(tmp_path, "change_per_day: 1M", "change_per_day: 50M")
    code, out, _ = run(capsys, "check", file)
    assert code == 0
    line = next(number for number, text in enumerate(file.read_text().splitlines(), 1) if "quota: 2G" in text)
    (told,) = [text for text in out.splitlines() if "is too small" in text]
    assert told.startswith(f"Warning: {file}:{line}  services > docs-a > quota: 2 GiB is too small.")
    assert "refuse backups from day 25 on" in told
    short = json.loads(run(capsys, "check", file, "--json")[1])["short"]
    assert [(it["service"], it["lasts_days"]) for it in short] == [("docs-a", 25)]
    enough = f"quota: {short[0]['would_do_bytes'] // 2**20 + 1}M"
    file.write_text(file.read_text().replace("quota: 2G", enough).replace("offered: ", "offered: 9"))
    assert "will not last" not in run(capsys, "check", file)[1]


def test_check_says_from_which_day_on_less_of_old_history_is_kept(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run(capsys, "check", DEMO)
    days = json.loads(run(capsys, "check", DEMO, "--json")[1])["bends"]
    assert f"the first of docs-a on day {days['docs-a']}" in out


def test_check_lists_the_figures_that_are_marked_as_guesses(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert "guess" not in run(capsys, "check", DEMO)[1]
    file = changed(tmp_path, "change_per_day: 1M", "change_per_day: ~1M\n    exclude: ['*.tmp', cache/*]")
    survey = "appliance survey --exclude '*.tmp' --exclude 'cache/*' /srv/docs-a"
    code, out, err = run(capsys, "check", file)
    assert (code, err) == (0, "")
    assert (
        f"1 figure marked ~ as a guess, to be measured where the files are:\n  {survey}\n    change_per_day of docs-a\n"
    ) in f"{out}\n"
    guessed = json.loads(run(capsys, "check", file, "--json")[1])["guessed"]
    assert guessed == [{"service": "docs-a", "setting": "change_per_day", "survey": survey}]


def test_check_groups_the_guesses_of_a_new_territory(capsys: pytest.CaptureFixture[str]) -> None:
    """The example is what a new maintenance team copies, and all its figures are invented."""
    lines = run(capsys, "check", EXAMPLE)[1].splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith("52 figures marked ~ as a guess"))
    assert lines[at + 1] == "  appliance survey /srv/partages"
    assert lines[at + 2].startswith("    size and change_per_day of docs-hermitage, docs-cuise-la-motte, ")
    assert lines[at + 3] == "  (of a database, a dump shows the size)"
    assert lines[at + 4].startswith("    size and change_per_day of etat-civil-cuise-la-motte, ")


def with_duty(tmp_path: Path, duty: str) -> Path:
    file = changed(tmp_path, "  maintenance:\n", "  maintenance:\n    addressees: [mail]\n")
    file.write_text(f"{file.read_text('utf-8')}duty:\n{duty}", "utf-8")
    return file


def test_check_and_duty_name_the_weeks_without_a_person_and_what_to_write(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("appliance.clock.SystemClock.now", lambda _: 1796342400.0)  # Friday 2026-12-04
    file = with_duty(tmp_path, "  weeks: {2026-W49: [maintenance], 2026-W51: [maintenance]}\n")
    code, out, err = run(capsys, "check", file)
    assert (code, err) == (0, "")
    assert f"{file}: nobody is on duty in these weeks, and everybody of the roster is called. Write below" in out
    assert "\n  2026-W50: [maintenance]  # 2026-12-07 to 2026-12-13\n" in out
    assert f"(1 more: appliance territory duty {file} --weeks 104)" in out
    shown = json.loads(run(capsys, "duty", file, "--weeks", "3", "--json")[1])
    assert [it["persons"] for it in shown["weeks"]] == [["maintenance"], [], ["maintenance"]]
    assert shown["holes"] == ["2026-W50"]


def test_a_rotation_has_no_hole_and_duty_names_each_person(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("appliance.clock.SystemClock.now", lambda _: 1796342400.0)
    file = with_duty(tmp_path, "  rotation: [maintenance]\n  since: 2026-W40\n")
    assert "on duty" not in run(capsys, "check", file)[1]
    code, out, err = run(capsys, "duty", file, "--weeks", "1")
    assert (code, err) == (0, "")
    assert out.splitlines()[1].split() == [
        "2026-W49",
        "2026-11-30",
        "to",
        "2026-12-06",
        "maintenance",
        "(Régie",
        "(démonstration))",
    ]


def test_duty_says_what_happens_where_there_is_no_roster(capsys: pytest.CaptureFixture[str]) -> None:
    assert "There is no roster: every alert goes to everybody" in run(capsys, "duty", DEMO)[1]


def test_check_warns_when_nobody_could_sign_an_act(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert "has a key, so no loss can be signed" in run(capsys, "check", DEMO)[1]
    line = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB+vfhyFblf1H6zkC7yKPK4iUfj6MY0iBB+af1R2+l7F"
    assert "so no loss can be signed" not in run(capsys, "check", changed(tmp_path, "keys: []", f"keys: ['{line}']"))[1]


def test_check_as_json_lists_what_is_lost(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run(capsys, "check", DEMO, "--json")
    found = json.loads(out)
    assert [it["event"] for it in found["lost"]] == ["the whole territory lost", "control machine compromised"]
    assert found["planned_only"] == []


def test_a_mistake_names_its_line_and_ends_with_2(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = changed(tmp_path, "offered: 8G", "offered: 8G, uplink: fibre2")
    code, out, err = run(capsys, "check", file)
    assert (code, out) == (2, "")
    assert err == f'appliance: {file}:38  sites > commune-b > nodes[0] > uplink: unknown "fibre2"; known: fibre\n'


def test_a_plan_without_room_gives_the_reason_of_every_node_and_ends_with_8(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = changed(tmp_path, "quota: 2G", "quota: 9G")
    code, _, err = run(capsys, "plan", file)
    assert code == 8
    assert err.startswith(f"appliance: {file}:46  services > docs-a: ")
    assert run(capsys, "check", file) == (8, "", err)
    assert "2 copies are requested, only 1 can be placed." in err
    assert "commune-b: offers 8 GiB, needs 9 GiB" in err


def test_show_names_nodes_services_and_who_may_sign(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "show", DEMO)
    assert code == 0
    for expected in ("127.0.0.1:22011", "every 1 h", "Régie (démonstration)  lost, quarantine, hold"):
        assert expected in out


def test_plan_shows_holders_spares_reasons_and_events(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "plan", DEMO)
    assert code == 0
    for expected in (
        "hermitage, commune-b",
        "commune-c",
        "is a standby named for the service",
        "each pair of nodes lost",
    ):
        assert expected in out
    assert "which never counts" not in out


def test_plan_shows_who_votes_and_what_would_leave_no_majority(capsys: pytest.CaptureFixture[str]) -> None:
    proposed = run(capsys, "plan", DEMO)[1].split("3 voters, 1 of which may be lost")[1]
    assert proposed.startswith("; give them the role `voter` to keep them:\n    hermitage is the standby")
    assert "commune-c" not in proposed
    named = run(capsys, "plan", EXAMPLE)[1].split("5 voters, 2 of which may be lost:")[1]
    assert "nampcel is named a voter" in named
    assert "No majority would be left after: zone power-oise lost" in named
    assert json.loads(run(capsys, "plan", DEMO, "--json")[1])["voters"]["named"] is False


def test_plan_with_why_gives_the_reason_of_every_node(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run(capsys, "plan", DEMO, "--why")
    assert "commune-c is not needed: there are 3 voters" in out
    assert "commune-a is the origin, which never counts" in out
    assert "commune-c is a spare" in out


def test_a_plan_from_its_own_json_moves_nothing(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    _, out, _ = run(capsys, "plan", EXAMPLE, "--json")
    old = tmp_path / "plan.json"
    old.write_text(out, "utf-8")
    _, out, _ = run(capsys, "plan", EXAMPLE, "--from", old)
    assert out.startswith("Nothing moves.")


def test_a_change_is_shown_before_anything_moves(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    without_b = changed(tmp_path, "offered: 8G", "offered: 0G")
    _, out, _ = run(capsys, "plan", without_b, "--from", DEMO)
    assert out.splitlines()[:3] == [
        "The change, before anything moves:",
        "  docs-a: seed commune-c with 200 MiB, 8.4 s at the full rate of the origin's link",
        "  docs-a: commune-b takes no new generation; "
        "its replica stays until the others have held newer generations for one retention lock",
    ]


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"placements": [{"service": 1}]}'])
def test_what_is_no_plan_is_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path, content: str) -> None:
    old = tmp_path / "plan.json"
    old.write_text(content, "utf-8")
    code, _, err = run(capsys, "plan", DEMO, "--from", old)
    assert code == 2
    assert "this is not a plan. Make one with" in err


def test_a_pipe_is_no_file_and_is_not_waited_for(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    code, _, err = run(capsys, "plan", tmp_path / "pipe")
    assert code == 3
    assert "pipe: this is a pipe or a device, not a file. Name a folder with a territory.yml." in err


def test_a_name_that_was_given_twice_is_listed_once(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = changed(tmp_path, "{name: commune-b, address", "{name: hermitage, address")
    _, _, err = run(capsys, "check", file)
    assert '"hermitage" is already the name of a node at hermitage.' in err
    file.write_text(file.read_text("utf-8").replace("standbys: [hermitage]", "standbys: [commune-b]"), "utf-8")
    assert 'unknown "commune-b"; known: hermitage, commune-a, commune-c' in run(capsys, "check", file)[2]


def test_a_serial_far_above_the_last_is_told_and_signed_once_it_is_confirmed(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    create_key(tmp_path / "key")
    words = ("sign", DEMO, "--key", tmp_path / "key", "--out", tmp_path / "bundle", "--serial", "2026112701")
    _, out, _ = run(capsys, *words, "--dry-run")
    assert out.startswith("Serial 2026112701 is far above 0, and no node will ever take a lower one again.")
    run(capsys, *words, "--yes")
    follow = (*words[:5], tmp_path / "next", "--previous", tmp_path / "bundle", "--serial", "2026112801")
    assert run(capsys, *follow)[1].startswith("Bundle 2026112801 of demo is signed")


def test_a_plan_from_the_bundle_in_force_shows_what_leaves_and_stays_held(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    create_key(tmp_path / "key")
    run(capsys, "sign", DEMO, "--key", tmp_path / "key", "--out", tmp_path / "bundle")
    file = changed(tmp_path, "  docs-a:\n", "  docs-b:\n")
    code, out, _ = run(capsys, "plan", file, "--from", tmp_path / "bundle")
    assert code == 0
    assert "  docs-a: removed; commune-b takes nothing new and keeps what it has until its retention ends" in out
    assert "FORMER SERVICE  LEFT IN   ON" in out
    assert next(line for line in out.splitlines() if line.startswith("docs-a")).split()[1:3] == ["bundle", "2"]
    assert "HELD OF REMOVED SERVICES" in out
    _, out, _ = run(capsys, "check", file)
    assert "Space taken by removed services and copies, until they are deleted:\n  commune-b: " in out
    (tmp_path / "bundle").write_bytes((tmp_path / "bundle").read_bytes().replace(b"docs-a", b"docs-z"))
    code, _, err = run(capsys, "plan", file, "--from", tmp_path / "bundle")
    assert (code, "request the file again" in err) == (5, True)


def test_what_a_former_version_forgets_with_the_same_key_is_carried_on_by_the_next_sign(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    create_key(tmp_path / "key")
    key = load_key(tmp_path / "key")
    file = changed(tmp_path, "  docs-a:\n", "  docs-b:\n")
    sign = ("sign", file, "--key", tmp_path / "key", "--out")
    run(capsys, "sign", DEMO, "--key", tmp_path / "key", "--out", tmp_path / "1")
    run(capsys, *sign, tmp_path / "2", "--previous", tmp_path / "1")
    made = signed_bundle(tmp_path / "2", key)
    assert set(made.former.services) == {"docs-a"}
    forgetful = make_bundle(
        key,
        serial=3,
        issued=made.issued,
        territory=made.territory,
        placements=made.placements,
        members=made.members,
        recovery="",
    )
    (tmp_path / "3").write_bytes(forgetful)
    out = run(capsys, *sign, tmp_path / "4", "--previous", tmp_path / "3")[1]
    assert out.startswith("Bundle 3 lacks former services of bundle 2; they are kept: docs-a.")
    assert set(signed_bundle(tmp_path / "4", key).former.services) == {"docs-a"}
