"""Forgetting on a real repository: what goes along with the archives that are forgotten, and how often borg starts."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from appliance.backup.sources.model import Prepared
from appliance.backup.writer import noted_archives
from appliance.backup.writer.forgetting import forget, forget_noted
from appliance.borg.client import Borg
from appliance.borg.model import Repository
from appliance.borg.names import branch_name, is_checkpoint
from appliance.host.command import run
from appliance.host.layout import ServiceLayout
from appliance.secret import Secret
from appliance.territory.model import Retention
from tests.worlds.repositories import copy_whole

SERVICE = "docs-a"
TWO_DAYS = Retention(hourly=0, daily=2, weekly=0, monthly=0)
BRANCH = branch_name(SERVICE, 1, "2026-11-02T21:00:00Z")


def name(sequence: int) -> str:
    return f"{SERVICE}-1.{sequence}-2026-11-{sequence:02d}T21:00:00Z-{sequence:06d}"


def borg_in(folder: Path) -> Borg:
    return Borg(Repository(folder / "repository", folder / "borg", Secret(b"phrase")), lock_wait_seconds=1)


@pytest.fixture(scope="session")
def four_evenings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with an archive of each of four evenings, and a branch. Each test gets a copy."""
    folder = tmp_path_factory.mktemp("four-evenings")
    made = borg_in(folder)
    made.init()
    (folder / "acte.txt").write_text("acte")
    for sequence in (1, 2, 3, 4):
        made.create(name(sequence), ["acte.txt"], cwd=folder, timestamp=f"2026-11-{sequence:02d}T21:00:00")
    made.create(BRANCH, ["acte.txt"], cwd=folder)
    return folder


@pytest.fixture
def borg(tmp_path: Path, four_evenings: Path) -> Borg:
    copy_whole(four_evenings, tmp_path)
    return borg_in(tmp_path)


def leave_unfinished(borg: Borg, archive: str, folder: Path) -> str:
    """Leave the remains of a borg that was cut while it made `archive`: no archive may be made under such a name."""
    borg.create(archive, ["acte.txt"], cwd=folder)
    words = ("borg", "rename", f"{borg.repository.path}::{archive}", f"{archive}.checkpoint")
    environment = {"BORG_BASE_DIR": str(borg.repository.base)}
    assert borg.repository.passphrase is not None
    secrets = {"BORG_PASSPHRASE_FD": borg.repository.passphrase}
    run(words, timeout_seconds=60, check=True, env=environment, secret_fds=secrets)
    return f"{archive}.checkpoint"


def checkpoints(borg: Borg) -> tuple[str, ...]:
    return tuple(it.name for it in borg.everything() if is_checkpoint(it.name))


@pytest.mark.parametrize(
    ("unfinished", "stays"),
    [
        (name(2) + "9", False),
        (name(4) + "9", False),
        (name(5), True),
        (BRANCH + "9", False),
        ("by-hand", True),
    ],
)
def test_what_a_cut_run_left_is_forgotten_once_a_later_run_ended(
    borg: Borg, tmp_path: Path, unfinished: str, stays: bool
) -> None:
    """Nothing else ever removed it, and it held its data for ever; that of the newest run spares the next one work."""
    left = leave_unfinished(borg, unfinished, tmp_path)
    assert checkpoints(borg) == (left,)
    assert forget(borg, SERVICE, TWO_DAYS).names == (name(1), name(2))
    assert checkpoints(borg) == ((left,) if stays else ())
    assert {it.name for it in borg.everything() if not is_checkpoint(it.name)} == {name(3), name(4), BRANCH}


@pytest.fixture
def verbs(borg: Borg, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The verbs of borg's commands that are started from now on."""
    found: list[str] = []
    started = Borg._start

    def noted(borg: Borg, verb: str, lock_seconds: int) -> tuple[str, ...]:
        found.append(verb)
        return started(borg, verb, lock_seconds)

    monkeypatch.setattr(Borg, "_start", noted)
    return found


def test_forgetting_starts_borg_twice_and_with_nothing_to_forget_once(borg: Borg, verbs: list[str]) -> None:
    assert forget(borg, SERVICE, TWO_DAYS).names == (name(1), name(2))
    assert verbs == ["list", "delete"]
    assert forget(borg, SERVICE, TWO_DAYS).names == ()
    assert verbs == ["list", "delete", "list"]


def run_of(borg: Borg, layout: ServiceLayout, sequence: int) -> None:
    """Do the part of a run that matters here."""
    noted_archives.create(borg, layout, name(sequence), Prepared(("acte.txt",), layout.root), comment="said")


def test_where_runs_noted_their_archives_a_tidying_starts_borg_once(
    borg: Borg, tmp_path: Path, verbs: list[str]
) -> None:
    layout = ServiceLayout(tmp_path)
    assert forget_noted(borg, layout, SERVICE, TWO_DAYS) == (name(1), name(2))
    with noted_archives.unchanged(layout):
        borg.compact()
    run_of(borg, layout, 5)
    assert noted_archives.load(layout) == borg.everything(), "to the microsecond, with ids and branches"
    verbs.clear()
    assert forget_noted(borg, layout, SERVICE, TWO_DAYS) == (name(3),)
    assert verbs == ["delete"]
    verbs.clear()
    assert forget_noted(borg, layout, SERVICE, TWO_DAYS) == ()
    assert verbs == []
    assert {it.name for it in borg.everything()} == {name(4), name(5), BRANCH}


def _by_hand(borg: Borg, folder: Path) -> None:
    borg.create("by-hand", ["acte.txt"], cwd=folder)


def _by_a_run_that_was_cut(borg: Borg, folder: Path) -> None:
    borg.create(name(7), ["acte.txt"], cwd=folder)
    run_of(borg, ServiceLayout(folder), 8)


def _by_another_copy(borg: Borg, folder: Path) -> None:
    """The same commits in another folder, as of a generation that was adopted."""
    copied = folder / "copied"
    shutil.copytree(borg.repository.path, copied)
    borg.repository.path.rename(folder / "replaced-2")
    copied.rename(borg.repository.path)


def _by_a_torn_line(borg: Borg, folder: Path) -> None:
    run_of(borg, ServiceLayout(folder), 5)
    noted = ServiceLayout(folder).borg_base / "archives.jsonl"
    noted.write_text(noted.read_text()[:-9])


def _by_a_line_that_is_gone(borg: Borg, folder: Path) -> None:
    for sequence in (5, 6):
        run_of(borg, ServiceLayout(folder), sequence)
    noted = ServiceLayout(folder).borg_base / "archives.jsonl"
    first, _, last = noted.read_text().splitlines(keepends=True)
    noted.write_text(first + last)


@pytest.mark.parametrize(
    "change", [_by_hand, _by_a_run_that_was_cut, _by_another_copy, _by_a_torn_line, _by_a_line_that_is_gone]
)
def test_a_note_that_is_not_of_the_newest_commit_counts_for_nothing(
    borg: Borg, tmp_path: Path, verbs: list[str], change: Callable[[Borg, Path], None]
) -> None:
    layout = ServiceLayout(tmp_path)
    forget_noted(borg, layout, SERVICE, TWO_DAYS)
    change(borg, tmp_path)
    assert noted_archives.load(layout) is None
    verbs.clear()
    forget_noted(borg, layout, SERVICE, TWO_DAYS)
    assert verbs[0] == "list"
    assert noted_archives.load(layout) == borg.everything()


def test_a_tidying_that_is_cut_leaves_no_note(borg: Borg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    layout = ServiceLayout(tmp_path)
    noted_archives.keep(layout, borg.everything())

    def cut(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Borg, "delete", cut)
    with pytest.raises(KeyboardInterrupt):
        forget_noted(borg, layout, SERVICE, TWO_DAYS)
    assert noted_archives.load(layout) is None
