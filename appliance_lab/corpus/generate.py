"""Make a corpus: the same bytes, names, modes and times for the same size, number of files and seed."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from appliance.errors import UsageError
from appliance.units import KIB
from appliance_lab.corpus import oddities
from appliance_lab.corpus.draw import Draw
from appliance_lab.corpus.marker import MARKER, Marker, check_free, check_room, claim, write_marker
from appliance_lab.corpus.names import FIRST_YEAR, LAST_YEAR
from appliance_lab.corpus.plan import KINDS, Entry, counts, draw_mtime_ns, plan
from appliance_lab.corpus.summary import Progress, Summary, measure
from appliance_lab.corpus.tree import Tree

FILES_MIN = 100
BYTES_PER_FILE_MIN = 3 * KIB


def generate(root: Path, size_bytes: int, files: int, seed: int, progress: Progress | None = None) -> Summary:
    """Fill the new or empty folder `root` with exactly `files` regular files of `size_bytes` in all (within 2 %).

    Raise UsageError when `root` holds anything, or when the corpus asked for is too small; NoSpace when it has no room.
    """
    _refuse_too_small(size_bytes, files)
    check_room(root, size_bytes, files)
    entries = plan(size_bytes, files - len(oddities.odd_paths(seed)), seed)
    claim(root)
    marker = Marker(size_bytes, files, seed)
    write_marker(root, marker)
    tree = Tree(root, size_bytes, progress)
    _write_oddities(tree, size_bytes, seed)
    _write_entries(tree, entries, size_bytes, seed)
    unsupported = oddities.set_attributes(root)
    for path, mode in oddities.FOLDER_MODES.items():
        os.chmod(root / path, mode)
    write_marker(root, replace(marker, complete=True))
    os.utime(root / MARKER, ns=(_moment(MARKER, seed),) * 2)
    tree.date_folders(lambda path: _moment(path, seed))
    totals = measure(root)
    return Summary(**vars(totals), bytes_new=totals.bytes, added=totals.files, unsupported=unsupported)


def planned(root: Path, size_bytes: int, files: int, seed: int) -> Mapping[str, int]:
    """Return how many files of each kind `generate` would write. Nothing is made, and the same is refused."""
    _refuse_too_small(size_bytes, files)
    check_free(root)
    check_room(root, size_bytes, files)
    odd = len(oddities.odd_paths(seed))
    return {**counts(files - odd), "odd": odd}


def _refuse_too_small(size_bytes: int, files: int) -> None:
    if files < FILES_MIN or size_bytes < files * BYTES_PER_FILE_MIN:
        raise UsageError(
            f"{files} files of {size_bytes} bytes in all are too few or too small for a corpus.",
            remedy=f"Ask for at least {FILES_MIN} files, and {BYTES_PER_FILE_MIN} bytes for each.",
        )


def _write_entries(tree: Tree, entries: tuple[Entry, ...], size_bytes: int, seed: int) -> None:
    photos_left = sum(entry.size for entry in entries if entry.kind == "jpg")
    for entry in entries:
        size = entry.size
        if entry.kind == "jpg":
            # The makers of text stop at the end of a line or a page, so the photos share what is really left.
            size = max(0, size_bytes - tree.bytes_written) * entry.size // photos_left
            photos_left -= entry.size
        content = KINDS[entry.kind].make(Draw("file", seed, entry.path), size)
        tree.write(entry.path, content, entry.mode, entry.mtime_ns)


def _write_oddities(tree: Tree, size_bytes: int, seed: int) -> None:
    for file in oddities.odd_files(seed):
        tree.write(file.path, file.content.encode(), file.mode, _moment(file.path, seed))
    for path in oddities.FOLDER_MODES:
        tree.folder(path)
    for path, target in oddities.SYMLINKS.items():
        full = tree.place(path)
        os.symlink(target, full)
        os.utime(full, ns=(_moment(path, seed),) * 2, follow_symlinks=False)
    for path, target in oddities.HARD_LINKS.items():
        os.link(tree.place(target), tree.place(path))
    sparse, size = tree.place(oddities.SPARSE), min(size_bytes // 100, oddities.SPARSE_BYTES_MAX)
    oddities.write_sparse(Path(sparse), size)
    tree.settle(sparse, 0o644, _moment(oddities.SPARSE, seed), os.path.getsize(sparse))


def _moment(path: str, seed: int) -> int:
    draw = Draw("moment", seed, path)
    return draw_mtime_ns(draw, draw.between(FIRST_YEAR, LAST_YEAR))
