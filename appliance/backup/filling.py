"""Where what a partial archive lacks is taken from: for each path the last archive that has it.

Disks die slowly: the last nights are partial, and just then everything is asked back. A path that failed comes whole
from the last archive that read it; of a path that was read in part come the files that it lacks, by name. What is in
the archive, however it came there, is never replaced by something older: a database that was saved as raw files beside
its journals would be torn by an older copy.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import PurePosixPath

from appliance.backup.manifest import Manifest, PathManifest
from appliance.backup.manifests import manifest_of, manifests
from appliance.backup.sources.postgresql import ROLES
from appliance.borg.answers import is_below
from appliance.borg.client import Borg
from appliance.borg.having import having
from appliance.restore.fill import Fill

DATABASE = "database "
DONORS_MAX = 30
"""How many archives are listed for what is not where it should be, of the partial and of the whole ones; each listing
starts borg. A file that cannot be read makes all archives since then partial, and a whole one has it."""

type Manifests = Mapping[str, Manifest | None]
"""Of the archives of a service, oldest first; None for one that a former version made."""
type Present = Callable[[str, Sequence[str]], Collection[str]]
"""Which of these paths an archive has."""


@dataclass(frozen=True)
class Filling:
    """What comes from older archives, and the paths, as they were declared or left out, that none of them has."""

    fills: tuple[Fill, ...] = ()
    nowhere: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Wanted:
    """`members` are paths in archives of what was missing at `told`; any of `declared` may have it, "" is any path."""

    told: str
    members: tuple[str, ...]
    declared: str


def filling(known: Manifests, archive: str, present: Present, *under: str) -> Filling:
    """What `archive` lacks below the paths `under` of archives (none: of all), and where each of it is found."""
    manifest = known.get(archive)
    if manifest is None or manifest.whole:
        return Filling()
    below = _below(under)
    wanted = [it for it in _wanted(manifest, archive, present) if _concerns(it, below)]
    names, fills, looks = list(known), set[Fill](), Counter[bool]()
    for donor in reversed(names[: names.index(archive)]):
        here = [it for it in wanted if it.members and _may_have(known[donor], it)]
        is_whole = (said := known[donor]) is None or said.whole
        if not here or looks[is_whole] == DONORS_MAX:
            continue
        looks[is_whole] += 1
        found = set(present(donor, [name for it in here for name in it.members]))
        fills |= {Fill(name, donor) for it in here for name in it.members if name in found}
        wanted = [it for it in wanted if it not in here or not found.intersection(it.members)]
    return Filling(_outermost(fills), tuple(it.told for it in wanted))


def filling_of(borg: Borg, service: str, archive: str, *under: str) -> Filling:
    """The same of an archive of `service` in the repository of `borg`; one `borg list` where it is whole."""
    return filling(_known(borg, service, archive), archive, partial(having, borg), *under)


def lacking_of(borg: Borg, service: str, archive: str, under: str = "") -> tuple[str, ...]:
    """What `archive` lacks of all below `under`, for who wants just this archive; nothing is looked for elsewhere."""
    manifest = _known(borg, service, archive).get(archive)
    if manifest is None or manifest.whole:
        return ()
    below = _below((under,))
    return tuple(it.told for it in _wanted(manifest, archive, partial(having, borg)) if _concerns(it, below))


def unread_in(borg: Borg, service: str, archive: str) -> tuple[str, ...]:
    """The paths, as archives name them, that `archive` lacks because they could not be read: nobody deleted those."""
    manifest = _known(borg, service, archive).get(archive)
    if manifest is None or manifest.whole:
        return ()
    return tuple(name for it in _wanted(manifest, archive, partial(having, borg)) for name in it.members)


def _known(borg: Borg, service: str, archive: str) -> Manifests:
    """All manifests, that of `archive` with the names of what it lacks."""
    known = manifests(borg, service)
    short = known.get(archive)
    return known if short is None or short.whole else {**known, archive: manifest_of(borg, archive)}


def _wanted(manifest: Manifest, archive: str, present: Present) -> Iterator[_Wanted]:
    failed = [_Wanted(it.path, _members(it.path), it.path) for it in manifest.paths if it.state == "failed"]
    names = [name for it in failed for name in it.members]
    has = set(present(archive, names)) if names else set()
    yield from (it for it in failed if not has.intersection(it.members))
    for left in manifest.left_out:
        if not left.path:  # a run that was cut before it knew, or a manifest that cannot be read
            yield _Wanted(left.reason, (), "")
        elif not any(is_below(left.path.strip("/"), name) for name in names):
            yield _Wanted(left.path, (left.path.strip("/"),), _declared(manifest.paths, left.path))


def _declared(paths: Iterable[PathManifest], path: str) -> str:
    above = (it.path for it in paths if is_below(path.strip("/"), it.path.strip("/")))
    return max(above, key=len, default="")


def _members(path: str) -> tuple[str, ...]:
    """What archives call a declared path: a database is its dump and its roles."""
    if path.startswith(DATABASE):
        return (f"postgresql/{path.removeprefix(DATABASE)}.dump", f"postgresql/{ROLES}")
    return (path.strip("/"),)


def _below(under: Iterable[str]) -> frozenset[str]:
    """The paths asked for, none of them where one is everything."""
    paths = frozenset(under)
    return frozenset() if "" in paths else paths


def _concerns(wanted: _Wanted, below: frozenset[str]) -> bool:
    return not below or any(not below.isdisjoint((name, *_above(name))) for name in wanted.members)


def _may_have(manifest: Manifest | None, wanted: _Wanted) -> bool:
    """Whether it is worth a look: what failed or was left out there too, it has not, nor an empty mount point."""
    if manifest is None:
        return True
    declared = next((it for it in manifest.paths if it.path == wanted.declared), None)
    if declared and (declared.state == "failed" or (not declared.files and not declared.path.startswith(DATABASE))):
        return False
    return wanted.told not in {it.path for it in manifest.left_out}


def _outermost(fills: set[Fill]) -> tuple[Fill, ...]:
    """Without what comes along with a folder from the same archive."""
    return tuple(sorted(it for it in fills if not any(Fill(above, it.archive) in fills for above in _above(it.path))))


def _above(path: str) -> Iterator[str]:
    return (str(it) for it in PurePosixPath(path).parents)
