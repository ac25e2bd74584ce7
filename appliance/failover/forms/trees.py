"""Folders of services: put in place by a rename, shown for reading, or copied aside."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from appliance.backup.peers.adopt import free_name, next_name
from appliance.backup.peers.fetch import read_held
from appliance.backup.peers.openable import is_written_here, newest_archive, open_best
from appliance.backup.writer.filling import filling_of
from appliance.backup.writer.source_names import STANDBY
from appliance.borg.client import Borg
from appliance.host.command import COPY_SECONDS_MAX, run
from appliance.host.files import make_private_folder
from appliance.node.current import files_of
from appliance.node.handle import Node
from appliance.restore.fill import install_fills


def swap(source: Path, target: Path, kept: Path) -> None:
    """Put the folder `source` in the place of `target`, by one rename; what was there stays, in `kept` or beside it.

    People may have brought folders as root. Those cannot be taken apart here, nor moved to another folder, while the
    one that holds them all can be given another name.
    """
    make_private_folder(target.parent)
    coming = target.with_name(f".{target.name}.coming")
    shutil.rmtree(coming, ignore_errors=True)
    coming = free_name(coming)  # what a cut left may be of folders that cannot be removed
    try:
        source.rename(coming)
    except OSError:  # it lies on another mount; on btrfs a copy takes no room
        argv = ("cp", "--archive", "--reflink=auto", "--no-target-directory", str(source), str(coming))
        run(argv, timeout_seconds=COPY_SECONDS_MAX, check=True)
    if target.exists():
        make_private_folder(kept)
        try:
            target.rename(next_name(kept / target.name))
        except OSError:
            target.rename(next_name(target.with_name(f".{target.name}.replaced")))
    coming.rename(target)


def show(node: Node, service: str) -> str:
    """Lay the newest held copy out for reading, beside the service's own folder; its writer shows its own files. Return
    the generation that is shown, "" for none."""
    paths = node.bundle.terms(service).service.paths
    if not paths:  # of a database nothing is shown
        return ""
    folder, mark = node.service(service).copy, node.service(service).copied
    if is_written_here(node, service):
        return _show_own(files_of(node, paths[0]), folder, mark)
    newest = read_held(node, service).header.id
    if folder.exists() and mark.exists() and mark.read_text() == str(newest):
        return str(newest)
    opened = open_best(node, service, STANDBY)
    new = folder.with_name("copy.new")
    shutil.rmtree(new, ignore_errors=True)
    borg = Borg(opened.repository)
    archive = newest_archive(borg, service).name
    borg.extract(archive, (), make_private_folder(new), privileges=False)
    install_fills(borg, archive, filling_of(borg, service, archive).fills, new, privileges=False)
    _remove(folder)
    os.rename(new / paths[0].lstrip("/"), folder)
    shutil.rmtree(new, ignore_errors=True)
    mark.write_text(opened.generation)
    return opened.generation


def _show_own(files: Path, folder: Path, mark: Path) -> str:
    """Nothing is newer than what was written here, so that itself is shown."""
    _remove(folder)
    mark.unlink(missing_ok=True)
    folder.symlink_to(files)
    return "as it was written here"


def _remove(folder: Path) -> None:
    if folder.is_symlink():
        folder.unlink()
    shutil.rmtree(folder, ignore_errors=True)


def copy_apart(node: Node, service: str, folder: Path) -> None:
    """Copy what lies here into `folder`. On btrfs a copy shares what it copies, and takes no room."""
    for path in node.bundle.terms(service).service.paths:
        if (source := files_of(node, path)).exists():
            target = folder / path.lstrip("/")
            make_private_folder(target.parent)
            argv = ("cp", "--archive", "--reflink=auto", f"{source}/.", str(target))
            run(argv, timeout_seconds=COPY_SECONDS_MAX, check=True)
