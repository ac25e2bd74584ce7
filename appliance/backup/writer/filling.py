"""The sources that fill a partial archive: for each path it lacks, the last archive that has it.

Disks die slowly: the last nights are partial, and just then everything is asked back. A path that failed comes whole
from the last archive that read it; of a path that was read in part come the files that it lacks, by name. A file that
is in the archive, however it came there, is never replaced by an older one: a database that was saved as raw files
beside its journals would be torn by an older copy.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import PurePosixPath

from appliance.backup.sources.roles import ROLES
from appliance.backup.writer.manifest import DATABASE, Accepted, Manifest, PathManifest
from appliance.backup.writer.manifests import manifest_of, manifests
from appliance.borg.answers import is_below
from appliance.borg.archive_paths import paths_in_archive
from appliance.borg.client import Borg
from appliance.borg.names import time_of
from appliance.restore.fill import Fill

DONORS_MAX = 30
"""How many archives are listed for what is not where it should be, of the partial and of the whole ones; each listing
starts borg. A file that cannot be read makes all archives since then partial, and a whole one has it."""

type Manifests = Mapping[str, Manifest | None]
"""The manifests of the archives of a service, oldest first; None for one that a former version made."""
type Present = Callable[[str, Sequence[str]], Collection[str]]
"""Which of these paths an archive has."""


@dataclass(frozen=True)
class Raw:
    """`path` is in the archive as its files lay on the disk, since it could not be copied for `reason`: a database at
    work may be torn. `copied` is the last archive before it that has a copy, "" for none."""

    path: str
    reason: str
    copied: str = ""


@dataclass(frozen=True)
class Filling:
    """The files that come from older archives, and the paths, as they were declared or left out, that none of them has.

    `accepted` is what none of them has of the files that an operator accepted to be without; `raw` is there, without
    having been copied as it should.
    """

    fills: tuple[Fill, ...] = ()
    nowhere: tuple[str, ...] = ()
    accepted: tuple[Accepted, ...] = ()
    raw: tuple[Raw, ...] = ()


@dataclass(frozen=True)
class _Wanted:
    """`members` are paths in archives of what was missing at `told`; any of `declared` may have it, "" is any path.

    `since`: the first archive that lacks it, UTC seconds, of what an operator accepted; older ones may have it."""

    told: str
    members: tuple[str, ...]
    declared: str
    since: float = math.inf


def filling(known: Manifests, archive: str, present: Present, *under: str) -> Filling:
    """Return what `archive` lacks below the paths `under` of archives (none: of all), and where each of it is found."""
    manifest = known.get(archive)
    if manifest is None or _lacks_nothing(manifest):
        return Filling()
    below = _below(under)
    missing, raw = _looked(manifest, archive, present)
    wanted = [it for it in missing if _concerns(it, below)]
    left = {it.told for it in wanted}
    names, fills, looks = list(known), set[Fill](), Counter[bool]()
    for donor in reversed(names[: names.index(archive)]):
        here = [it for it in wanted if it.members and _may_have(donor, known[donor], it)]
        is_whole = (said := known[donor]) is None or said.whole
        if not here or looks[is_whole] == DONORS_MAX:
            continue
        looks[is_whole] += 1
        found = set(present(donor, [name for it in here for name in it.members]))
        fills |= {Fill(name, donor) for it in here for name in it.members if name in found}
        left -= {it.told for it in here if found.intersection(it.members)}
        # An accepted file is in the last whole archive before, or nobody ever had it: one look is enough.
        wanted = [it for it in wanted if it.told in left and not (it in here and is_whole and it.since < math.inf)]
    accepted = tuple(it for it in manifest.accepted if it.path in left)
    nowhere = tuple(it.told for it in wanted if it.since == math.inf)
    return Filling(_outermost(fills), nowhere, accepted, _raw(known, archive, raw, below))


def _lacks_nothing(manifest: Manifest | None) -> bool:
    return manifest is None or (manifest.whole and not manifest.accepted_count)


def filling_of(borg: Borg, service: str, archive: str, *under: str) -> Filling:
    """The same of an archive of `service` in the repository of `borg`; one `borg list` where it is whole."""
    return filling(_known(borg, service, archive), archive, partial(paths_in_archive, borg), *under)


def lacking_of(borg: Borg, service: str, archive: str, *under: str) -> Filling:
    """Return what `archive` lacks below `under`, for a caller that wants just this archive; no other archive is
    searched."""
    known, below = _known(borg, service, archive), _below(under)
    manifest = known.get(archive)
    if manifest is None or _lacks_nothing(manifest):
        return Filling()
    missing, raw = _looked(manifest, archive, partial(paths_in_archive, borg))
    lacks = [it for it in missing if _concerns(it, below)]
    accepted = {it.told for it in lacks if it.since < math.inf}
    nowhere = tuple(it.told for it in lacks if it.told not in accepted)
    kept = tuple(it for it in manifest.accepted if it.path in accepted)
    return Filling((), nowhere, kept, _raw(known, archive, raw, below))


def unread_in(borg: Borg, service: str, archive: str) -> tuple[str, ...]:
    """The paths, as archives name them, that `archive` lacks because they could not be read: nobody deleted those."""
    manifest = _known(borg, service, archive).get(archive)
    if manifest is None or _lacks_nothing(manifest):
        return ()
    missing, _ = _looked(manifest, archive, partial(paths_in_archive, borg))
    return tuple(name for it in missing for name in it.members)


def _known(borg: Borg, service: str, archive: str) -> Manifests:
    """All manifests, that of `archive` with the names of what it lacks."""
    known = manifests(borg, service)
    return known if _lacks_nothing(known.get(archive)) else {**known, archive: manifest_of(borg, archive)}


def _looked(manifest: Manifest, archive: str, present: Present) -> tuple[list[_Wanted], list[PathManifest]]:
    """Return what `archive` lacks by `manifest`, and what failed and is there all the same."""
    failed = [it for it in manifest.paths if it.state == "failed"]
    names = [name for it in failed for name in _members(it.path)]
    has = set(present(archive, names)) if names else set()
    raw = [it for it in failed if has.intersection(_members(it.path))]
    missing = [_Wanted(it.path, _members(it.path), it.path) for it in failed if it not in raw]
    for left in manifest.left_out:
        if not left.path:  # a run that was cut before it knew, or a manifest that cannot be read
            missing.append(_Wanted(left.reason, (), ""))
        elif not any(is_below(left.path.strip("/"), name) for name in names):
            missing.append(_Wanted(left.path, (left.path.strip("/"),), _declared(manifest.paths, left.path)))
    for it in manifest.accepted:
        missing.append(_Wanted(it.path, (it.path.strip("/"),), _declared(manifest.paths, it.path), it.since))
    return missing, raw


def _raw(known: Manifests, archive: str, found: Iterable[PathManifest], below: frozenset[str]) -> tuple[Raw, ...]:
    concerned = (it for it in found if _concerns(_Wanted(it.path, _members(it.path), it.path), below))
    return tuple(Raw(it.path, it.reason, _copied(known, archive, it.path)) for it in concerned)


def _copied(known: Manifests, archive: str, path: str) -> str:
    before = list(known)[: list(known).index(archive)]
    return next((it for it in reversed(before) if _was_read(known[it], path)), "")


def _was_read(manifest: Manifest | None, path: str) -> bool:
    return manifest is not None and any((it.path, it.state) == (path, "read") for it in manifest.paths)


def _declared(paths: Iterable[PathManifest], path: str) -> str:
    above = (it.path for it in paths if is_below(path.strip("/"), it.path.strip("/")))
    return max(above, key=len, default="")


def _members(path: str) -> tuple[str, ...]:
    """Return the names of a declared path in archives: a database is its dump and its roles."""
    if path.startswith(DATABASE):
        return (f"postgresql/{path.removeprefix(DATABASE)}.dump", f"postgresql/{ROLES}")
    return (path.strip("/"),)


def _below(under: Iterable[str]) -> frozenset[str]:
    """The paths asked for, none of them where one is everything."""
    paths = frozenset(under)
    return frozenset() if "" in paths else paths


def _concerns(wanted: _Wanted, below: frozenset[str]) -> bool:
    return not below or any(not below.isdisjoint((name, *_above(name))) for name in wanted.members)


def _may_have(donor: str, manifest: Manifest | None, wanted: _Wanted) -> bool:
    """Whether it is worth a look: a donor lacks what failed or was left out there too, and has nothing of an empty
    mount point. For an accepted file the date decides, where the archive may itself be one that was accepted without
    it."""
    if manifest is None:
        return True
    if not _lacks_nothing(manifest) and time_of(donor) >= wanted.since:
        return False
    declared = next((it for it in manifest.paths if it.path == wanted.declared), None)
    if declared and (declared.state == "failed" or (not declared.files and not declared.path.startswith(DATABASE))):
        return False
    return wanted.told not in {it.path for it in manifest.left_out}


def _outermost(fills: set[Fill]) -> tuple[Fill, ...]:
    """Without what comes along with a folder from the same archive."""
    return tuple(sorted(it for it in fills if not any(Fill(above, it.archive) in fills for above in _above(it.path))))


def _above(path: str) -> Iterator[str]:
    return (str(it) for it in PurePosixPath(path).parents)
