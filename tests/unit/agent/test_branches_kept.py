"""A node puts a branch aside: all of it or nothing, whatever is among the files."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from appliance.backup.peers.conversation import Lines
from appliance.branches.merge import Merge
from appliance.branches.plan import _check_closed, choose, leave
from appliance.errors import Busy, Refused, UsageError
from appliance.failover import takeover_worker
from appliance.failover.forms import trees
from appliance.host.command import CommandFailed, Result
from appliance.node.current import files_of
from appliance.node.handle import Node
from tests.worlds.demo import signed_territory

SERVICE = "docs-a"


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return signed_territory(tmp_path / "t").open("commune-a")


def files(node: Node) -> Path:
    node.layout.machine.mkdir(exist_ok=True)  # below it, not of this machine
    folder = files_of(node, node.bundle.terms(SERVICE).service.paths[0])
    (folder / "2026").mkdir(parents=True)
    return folder


def test_files_links_and_what_no_archive_takes_are_kept_as_they_are(node: Node) -> None:
    folder = files(node)
    (folder / "2026/note.txt").write_text("before the cut")
    (folder / "2026/note.txt").chmod(0o640)
    (folder / "newest").symlink_to("2026/note.txt")
    os.mkfifo(folder / "scanner")
    kept = Path(takeover_worker.branch(node, SERVICE, "2", Lines(node))["folder"])
    assert kept.name == "2"
    there = next(kept.rglob("2026")).parent
    assert (there / "2026/note.txt").read_text() == "before the cut"
    assert stat.S_IMODE((there / "2026/note.txt").stat().st_mode) == 0o640
    assert os.readlink(there / "newest") == "2026/note.txt"
    assert stat.S_ISFIFO((there / "scanner").lstat().st_mode)
    assert takeover_worker.branch(node, SERVICE, "2", Lines(node)) == {"folder": str(kept)}, "it can be asked again"


def test_of_a_branch_that_does_not_fit_nothing_stays_and_a_person_reads_what_to_do(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(argv: Sequence[str], **how: object) -> None:
        Path(argv[-1]).mkdir()
        (Path(argv[-1]) / "note.txt").write_text("a par")
        said = b"cp: error writing 'note.txt': No space left on device\n"
        raise CommandFailed(Result(tuple(argv), 1, b"", said, 0.1))

    (files(node) / "2026/note.txt").write_text("a part of it")
    monkeypatch.setattr(trees, "run", full)
    with pytest.raises(Refused, match=r"as a branch: cp exited with 1: .*No space left on device") as refused:
        takeover_worker.branch(node, SERVICE, "2", Lines(node))
    assert "Free space on that disk" in refused.value.remedy
    assert os.listdir(node.service(SERVICE).root / "branches") == []


def test_what_the_system_refuses_to_a_worker_is_told_in_a_sentence(
    node: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(node: Node, service: str, word: str, lines: Lines) -> dict[str, object]:
        raise OSError(28, "No space left on device", "copy.new")

    monkeypatch.setattr(takeover_worker, "VERBS", {"copy": full})
    monkeypatch.setattr(takeover_worker, "die_with_parent", lambda parent: None)
    monkeypatch.setattr(sys, "argv", ["takeover_worker.py", str(os.getpid()), str(node.layout.root), SERVICE])
    order = tmp_path / "order"
    order.write_text('{"verb": "copy", "word": ""}\n')
    with order.open() as given:
        monkeypatch.setattr(sys, "stdin", given)
        assert takeover_worker.main() == 0
    said = capsys.readouterr().out
    assert said == '{"error": "copy docs-a: [Errno 28] No space left on device: \'copy.new\'", "remedy": ""}\n'


def test_nothing_is_merged_while_a_file_that_would_be_replaced_is_open(tmp_path: Path) -> None:
    for name in ("budget.ods", "letter.odt"):
        (tmp_path / name).write_text("as at the cut")
    found = Merge(taken=("budget.ods", "letter.odt", "new.odt"))
    with (tmp_path / "letter.odt").open(), pytest.raises(Busy, match=r"are open: .*/letter\.odt\. Have") as refused:
        _check_closed(tmp_path, found)
    assert "Nothing was changed" in refused.value.remedy
    _check_closed(tmp_path, found)


def test_of_several_branches_only_those_that_wait_are_offered(node: Node) -> None:
    files(node)
    for epoch in ("2", "4", "7"):
        takeover_worker.branch(node, SERVICE, epoch, Lines(node))
    leave(node, choose(node, SERVICE, 2))
    with pytest.raises(UsageError) as several:
        choose(node, SERVICE, None)
    assert several.value.remedy == "Choose one with --branch: 4, 7."
