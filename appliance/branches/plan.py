"""How a branch that a node keeps (`branches/store.py`) is brought back into what others went on with.

Merging changes nothing in it. The files that a merge replaces are kept, as a restore does.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from zoneinfo import ZoneInfo

from appliance.backup.chain.chain import chain_of
from appliance.backup.peers.adopt import free_name, own_repository
from appliance.backup.peers.openable import is_written_here
from appliance.borg.client import Borg
from appliance.branches.archive import common_archive, walk
from appliance.branches.merge import Merge, Trees, differing, plan_merge
from appliance.branches.store import Branch, Settled, branches, settle
from appliance.errors import NotFound, Refused, UsageError
from appliance.host.disks.opened import refuse_open
from appliance.host.files import locked, make_private_folder, sha256_file
from appliance.node.handle import Node
from appliance.restore.jobs import sync
from appliance.restore.place import keep_all, named_errors, place_all, survey

NAMED_MAX = 3


@dataclass(frozen=True)
class Compared:
    """`base` names the archive that both sides have in common, "" when there is none any more."""

    branch: Branch
    merge: Merge
    base: str


def choose(node: Node, service: str, epoch: int | None) -> Branch:
    """The branch of `epoch`, or the only one that waits; raise NotFound or UsageError when that is none, or several."""
    kept = branches(node.layout, service)
    found = [it for it in kept if (it.settled is None if epoch is None else it.epoch == epoch)]
    if len(found) == 1:
        return found[0]
    if not found:
        known = _epochs(kept) or "none"
        which = f"branch {epoch} of {service}" if epoch is not None else f"unmerged branch of {service}"
        raise NotFound(f"there is no {which} at {node.name}; kept here: {known}.")
    raise UsageError(f"several branches of {service} wait here.", remedy=f"Choose one with --branch: {_epochs(found)}.")


def _epochs(kept: Iterable[Branch]) -> str:
    return ", ".join(str(it.epoch) for it in kept)


def compare(node: Node, branch: Branch) -> Compared:
    """Return what merging `branch` would do; raise Refused where this node cannot merge it."""
    _check(node, branch.service)
    here, theirs = _tree(_live(node), _paths(node, branch)), _tree(branch.folder, _paths(node, branch))
    archive, base = _base(node, branch, differing(here, theirs))
    plan = plan_merge(Trees(base, here, theirs), _labels(node, branch))
    return Compared(branch, plan, archive)


def merge(node: Node, branch: Branch) -> tuple[Compared, Path | None]:
    """Compare and carry that out; what was done, and where what it replaced is kept, None where it brought nothing.

    Cut anywhere, the next call goes on from what is there then.
    """
    rooms = node.service(branch.service).root
    stage, live = rooms / "merging", _live(node)
    with locked(rooms / "merge.lock", what=f"merging into {branch.service}"), named_errors(live):
        compared = compare(node, branch)
        _check_closed(live, compared.merge)
        shutil.rmtree(stage, ignore_errors=True)
        make_private_folder(stage)
        for path, name in compared.merge.brings.items():
            _stage(branch.folder, path, stage, name, live)
        kept = None
        if compared.merge.brings:
            kept = make_private_folder(free_name(rooms / "replaced-files" / f"merge-{branch.epoch}"))
            changes = survey(stage, live)
            keep_all(live, changes, kept)
            sync(rooms)
            place_all(stage, live, kept, changes)
            for path in _paths(node, branch):
                sync(live / path)
        shutil.rmtree(stage)
        settled = Settled(merged=True, taken=len(compared.merge.taken), both=len(compared.merge.both))
        settle(branch, settled, node.clock.now(), node.journal)
    return compared, kept


def _check_closed(live: Path, found: Merge) -> None:
    refuse_open(live, found.taken, "merging", "Nothing was changed.")


def leave(node: Node, branch: Branch) -> None:
    """Note that a person decided to leave `branch` as it is."""
    settle(branch, Settled(merged=False), node.clock.now(), node.journal)


def _check(node: Node, service: str) -> None:
    plan = node.bundle.territory.service(service)
    if not plan.is_merged:
        remedy = "Its dump is in the branch, the other in the service's backups; compare both, then use --leave."
        raise Refused(f"{service} is a database, and two histories of a database are never merged.", remedy=remedy)
    if not is_written_here(node, service) or node.service(service).opening.exists():
        grant = chain_of(node, service).newest_grant()
        writer = grant.writer if grant else "another node"
        who, remedy = f"{writer} writes it", f"First, here: `appliance failover move {service} {node.name}`."
        if writer == node.name:
            who, remedy = "it is not open yet", "Wait until `appliance failover status` shows that it is served here."
        raise Refused(
            f"{service} must be merged on the node that writes it, and {who}, not {node.name}.", remedy=remedy
        )


def _live(node: Node) -> Path:
    """Below which the service's files have the paths that they have in archives."""
    return node.layout.machine if node.layout.machine.exists() else Path("/")


def _paths(node: Node, branch: Branch) -> tuple[str, ...]:
    return tuple(path.lstrip("/") for path in node.bundle.terms(branch.service).service.paths)


def _tree(root: Path, paths: tuple[str, ...]) -> dict[str, str]:
    """Kind and content of every file and link below `root`/PATH, by its path below `root`."""
    found = {}
    for path in (it for each in paths for it in walk(root / each)):
        if (mark := _mark(path)) is not None:
            found[str(path.relative_to(root))] = mark
    return found


def _mark(path: Path) -> str | None:
    """None for what is neither a file nor a link, or has just gone."""
    with contextlib.suppress(FileNotFoundError):
        mode = path.lstat().st_mode
        if stat.S_ISLNK(mode):
            return f"link {os.readlink(path)}"
        if stat.S_ISREG(mode):
            return f"file {sha256_file(path)}"
    return None


def _base(node: Node, branch: Branch, paths: tuple[str, ...]) -> tuple[str, dict[str, str]]:
    """The last archive that both sides have in common, and what stands in it at `paths`. A link is not looked up: it
    counts as changed by both, and nothing is lost by that."""
    borg = Borg(own_repository(node.service(branch.service)))
    newest = common_archive(chain_of(node, branch.service), borg, branch.epoch)
    if newest is None:
        return "", {}
    hashes = borg.sha256_of(newest.name, paths) if paths else {}
    return newest.name, {path: f"file {found}" for path, found in hashes.items() if found}


def _labels(node: Node, branch: Branch) -> Callable[[str], str]:
    """Town and day of a path of the branch."""
    territory = node.bundle.territory
    town = territory.sites[territory.node(node.name).site].title.replace("/", "-")

    def label(path: str) -> str:
        changed = (branch.folder / path).lstat().st_mtime
        return f"{town} {datetime.fromtimestamp(changed, ZoneInfo(territory.timezone)):%Y-%m-%d}"

    return label


def _stage(branch: Path, path: str, stage: Path, name: str, live: Path) -> None:
    """Copy `path` of the branch to `name` of the stage, owned like what it replaces or the folder that it comes to."""
    target = stage / name
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(branch / path, target, follow_symlinks=False)
    for theirs, ours in zip(PurePosixPath(path).parents, PurePosixPath(name).parents, strict=True):
        if str(ours) != ".":
            shutil.copystat(branch / theirs, stage / ours)
    with contextlib.suppress(PermissionError):  # who may give nothing away owns all of it already
        near = next(it for it in (live / name, *(live / name).parents) if os.path.lexists(it)).lstat()
        for made in (target, *(stage / folder for folder in PurePosixPath(name).parents if str(folder) != ".")):
            os.chown(made, near.st_uid, near.st_gid, follow_symlinks=False)
