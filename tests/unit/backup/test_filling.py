"""From which archive comes what a partial one lacks: the last that has it, whatever failed in between."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import replace
from functools import partial

from appliance.backup.writer.filling import DONORS_MAX, Filling, Raw, filling, filling_of
from appliance.backup.writer.manifest import Accepted, LeftOut, Manifest, PathManifest, State, encode
from appliance.borg.client import Borg
from appliance.borg.model import Archive, Item
from appliance.clock import utc_seconds
from appliance.restore.fill import Fill

DOCS, CADASTRE = "/srv/docs", "/srv/cadastre"
LAST = "a-1.2-2026-11-30T08:00:00Z-1"


def manifest(cadastre: State = "read", *left_out: str, files: int = 9) -> Manifest:
    paths = (PathManifest(DOCS, "read", 9, 9), PathManifest(CADASTRE, cadastre, files, 9))
    return Manifest(paths, tuple(LeftOut(path, "input/output error") for path in left_out), len(left_out))


FAILED = manifest("failed", files=0)


class Archives:
    """`lacking`: by archive, what it does not have; a former version's has no manifest."""

    def __init__(self, *manifests: Manifest | None, lacking: dict[str, set[str]] | None = None) -> None:
        self.manifests = {f"a{number}": it for number, it in enumerate(manifests)}
        self.lacking = lacking or {}
        self.listed: list[str] = []

    def present(self, archive: str, paths: Sequence[str]) -> set[str]:
        self.listed.append(archive)
        manifest = self.manifests[archive]
        failed = {it.path.strip("/") for it in manifest.paths if it.state == "failed"} if manifest else set()
        left = {it.path.strip("/") for it in manifest.left_out} if manifest else set()
        return set(paths) - failed - left - self.lacking.get(archive, set())

    def filling(self, under: str = "") -> Filling:
        return filling(self.manifests, list(self.manifests)[-1], self.present, under)


def test_a_path_that_failed_for_forty_nights_comes_from_the_last_one_before() -> None:
    archives = Archives(manifest(), manifest(), *[FAILED] * 40)
    assert archives.filling() == Filling((Fill("srv/cadastre", "a1"),))
    assert archives.listed == ["a41", "a1"], "what manifests tell is not listed"


def test_a_whole_archive_and_one_of_a_former_version_ask_for_nothing() -> None:
    assert Archives(manifest(), manifest()).filling() == Filling()
    assert Archives(manifest(), None).filling() == Filling()
    archives = Archives(manifest(), manifest())
    archives.filling()
    assert archives.listed == []


def test_an_archive_of_a_former_version_is_looked_into_for_what_it_has() -> None:
    assert Archives(None, None, FAILED).filling() == Filling((Fill("srv/cadastre", "a1"),))
    found = Archives(None, None, FAILED, lacking={"a1": {"srv/cadastre"}}).filling()
    assert found == Filling((Fill("srv/cadastre", "a0"),))


def test_files_that_could_not_be_read_come_one_by_one_and_what_was_read_stays_new() -> None:
    lost, unread = "/srv/cadastre/plan.tif", "/srv/cadastre/new.tif"
    archives = Archives(manifest(), manifest("partly", lost), manifest("partly", lost, unread))
    archives.lacking = {"a0": {"srv/cadastre/new.tif"}}
    found = archives.filling()
    assert found.fills == (Fill("srv/cadastre/new.tif", "a1"), Fill("srv/cadastre/plan.tif", "a0"))
    archives.lacking["a1"] = {"srv/cadastre/new.tif"}
    assert archives.filling().nowhere == (unread,)


def test_an_empty_mount_point_is_nothing_to_fill_from() -> None:
    archives = Archives(manifest(), manifest(files=0), FAILED)
    assert archives.filling() == Filling((Fill("srv/cadastre", "a0"),))


def test_what_no_archive_ever_had_is_named() -> None:
    assert Archives(FAILED, FAILED).filling() == Filling((), (CADASTRE,))


def test_only_what_is_asked_for_is_filled() -> None:
    archives = Archives(manifest(), FAILED)
    assert archives.filling("srv/docs") == Filling()
    assert archives.filling("srv").fills == (Fill("srv/cadastre", "a0"),)


def test_raw_files_in_place_of_a_copy_are_told_with_the_last_copy_and_never_mixed_with_it() -> None:
    """sqlite: the archive has the path although its copy failed."""
    known, raw = Archives(manifest(), manifest(), FAILED, FAILED).manifests, Raw(CADASTRE, "", "a1")
    for under, told in (("", (raw,)), ("srv/cadastre", (raw,)), ("srv/docs", ())):
        assert filling(known, "a3", lambda archive, paths: set(paths), under) == Filling(raw=told)
    none = filling({"a3": FAILED}, "a3", lambda archive, paths: set(paths))
    assert none == Filling(raw=(replace(raw, copied=""),))


def test_a_database_comes_with_its_roles_from_the_same_archive() -> None:
    good = Manifest((PathManifest("database mairie", "read", 0, 9),))
    bad = Manifest((PathManifest("database mairie", "failed", 0, 0),))
    archives = Archives(good, bad)
    archives.lacking = {"a1": {"postgresql/mairie.dump", "postgresql/roles.sql"}}
    assert archives.filling().fills == (Fill("postgresql/mairie.dump", "a0"), Fill("postgresql/roles.sql", "a0"))


def test_a_file_that_nobody_could_read_for_weeks_of_hours_comes_from_the_last_whole_archive() -> None:
    """The manifests of older archives name no files, so each partial one is looked into, as far as that is bounded."""
    lost = "/srv/cadastre/plan.tif"
    names_none = replace(manifest("partly", lost), left_out=())
    archives = Archives(manifest(), manifest(), *[names_none] * (2 * DONORS_MAX), manifest("partly", lost))
    archives.lacking = {name: {"srv/cadastre/plan.tif"} for name in archives.manifests if name not in ("a0", "a1")}
    assert archives.filling() == Filling((Fill("srv/cadastre/plan.tif", "a1"),))
    assert len(archives.listed) <= 2 * DONORS_MAX + 1


def test_what_nobody_can_name_is_looked_for_in_no_older_archive() -> None:
    """A run was cut before borg told what it could not read: each look would list all names of an archive."""
    cut = Manifest(manifest().paths, (LeftOut("", "the backup was interrupted"),), 1)
    archives = Archives(*[manifest()] * 9, cut)
    assert archives.filling() == Filling((), ("the backup was interrupted",))
    assert archives.listed == []


def test_a_folder_brings_what_is_below_it_and_old_archives_are_not_listed_without_end() -> None:
    inner = "/srv/cadastre/a"
    archives = Archives(manifest(), manifest("partly", inner, f"{inner}/b"))
    assert archives.filling().fills == (Fill("srv/cadastre/a", "a0"),)
    archives = Archives(*[None] * 99, FAILED)
    archives.lacking = {name: {"srv/cadastre"} for name in archives.manifests}
    assert archives.filling().nowhere == (CADASTRE,)
    assert len(archives.listed) <= DONORS_MAX + 1


class Listed(Borg):
    """An archive whose folder `srv/docs` and whose cadastre have each a file that could not be read."""

    lists = 0

    def __init__(self) -> None:
        pass

    def commented(self) -> tuple[Archive, ...]:
        self.lists += 1
        told = manifest("partly", *(f"{path}/lost.dat" for path in (DOCS, CADASTRE)))
        return (Archive("a-1.1-2026-11-29T08:00:00Z-1", "1", 1.0), Archive(LAST, "2", 2.0, encode(told)))

    def matching(self, archive: str, patterns: Sequence[str]) -> Generator[Item]:
        for it in patterns:
            yield Item(it.removeprefix("pf:"), "file", 0o644, "", "", 0, 0, 0.0, 1, "", healthy=True)


def test_of_hundreds_of_paths_each_is_filled_and_the_archives_are_listed_once() -> None:
    """An order of the pages names up to 20,000 paths; each listing starts borg."""
    borg = Listed()
    many = [f"srv/docs/{number}" for number in range(300)]
    found = filling_of(borg, "a", LAST, "srv/cadastre", *many).fills
    assert [it.path for it in found] == ["srv/cadastre/lost.dat"]
    assert borg.lists <= 2


def accepted(path: str, since: str = "2026-11-20T00:00:00Z") -> Manifest:
    taken = Accepted(path, "read: [Errno 5]", int(utc_seconds(since)), int(utc_seconds(since)) + 60)
    return replace(manifest(), accepted=(taken,), accepted_count=1)


def test_what_was_accepted_comes_from_the_last_whole_archive_before_or_is_told() -> None:
    """It was readable once where a sector rotted, and never where the reader has no right: one look tells which."""
    named = [f"a-1.{day}-2026-11-{day:02}T08:00:00Z-1" for day in range(10, 30)]
    taken = accepted("/srv/docs/a")
    known = {name: taken if name[-23:] >= named[10][-23:] else manifest() for name in named}
    asked: list[str] = []

    def present(has: bool, archive: str, paths: Sequence[str]) -> Sequence[str]:
        asked.append(archive)
        return paths if has else ()

    had = filling(known, named[-1], partial(present, True))
    assert had == Filling((Fill("srv/docs/a", named[9]),))
    asked.clear()
    assert filling(known, named[-1], partial(present, False)) == Filling((), (), taken.accepted)
    assert asked == [named[9]]
    assert filling(known, named[-1], partial(present, True), "srv/cadastre") == Filling()


def test_a_whole_archive_whose_date_is_not_before_the_loss_is_looked_into_all_the_same() -> None:
    """Its clock was ahead, or both were made within one second."""
    names = [f"a-1.{number}-{date}Z-1" for number, date in enumerate(("2026-12-25T08:00:00", "2026-11-20T00:00:00"))]
    known = dict(zip(names, (manifest(), accepted("/srv/docs/a")), strict=True))
    assert filling(known, names[-1], lambda _archive, paths: paths).fills == (Fill("srv/docs/a", names[0]),)
