"""A restored tree as one zip that any PC opens: names that stay inside, whatever the archive held.

A zip holds files and folders only. Symlinks, devices and pipes are left out and told; a name that Windows could not
write is changed and told, never dropped. Both are listed in NOTE, at the top of the zip.
"""

from __future__ import annotations

import datetime
import os
import re
import stat
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from zoneinfo import ZoneInfo

from appliance.host.files import begin_file
from appliance.restore.restored_names import free_name
from appliance.units import MIB, printable

NOTE = "À lire - noms changés et éléments absents.txt"
READ_SIZE = MIB
_FORBIDDEN = re.compile(r'[\x00-\x1f\x7f<>:"|?*\\/\ud800-\udfff]')
_DEVICES = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.IGNORECASE)
_FIRST_YEAR, _LAST_YEAR = 1980, 2107  # of a date in a zip
_KINDS = {stat.S_IFLNK: "lien", stat.S_IFIFO: "tube", stat.S_IFCHR: "périphérique", stat.S_IFBLK: "périphérique"}


@dataclass
class Packed:
    """The result for the tree: (name in the archive, name in the zip) and (name, what it is)."""

    files: int = 0
    size: int = 0
    changed: list[tuple[str, str]] = field(default_factory=list)
    left_out: list[tuple[str, str]] = field(default_factory=list)


def pack(
    stage: Path, target: Path, zone: ZoneInfo, on_progress: Callable[[int, int], None] = lambda size, files: None
) -> Packed:
    """Write everything in `stage` to the zip `target`, durable; `on_progress` is told of bytes and files so far."""
    packed = Packed()
    with begin_file(target) as file:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1, strict_timestamps=False) as made:
            for source, name in _walk(stage, "", "", packed):
                _add(made, source, name, zone, packed, on_progress)
            if packed.changed or packed.left_out:
                made.writestr(NOTE, _note(packed))
        file.flush()
        os.fsync(file.fileno())
    return packed


def portable(name: str) -> str:
    """`name` as Windows can write it. Bytes that are no UTF-8 are read as Latin-1, which they mostly were."""
    try:
        os.fsencode(name).decode()
    except UnicodeDecodeError:
        name = os.fsencode(name).decode("latin-1")
    name = _FORBIDDEN.sub("_", name)
    if name.endswith((".", " ")):
        name = f"{name[:-1]}_"
    return f"_{name}" if _DEVICES.fullmatch(name) else name or "_"


def _walk(folder: Path, above: str, above_in_zip: str, packed: Packed) -> Iterator[tuple[os.DirEntry[str], str]]:
    """Each file and folder and its name in the zip; two names that would be one get a number."""
    taken = {NOTE.casefold()} if not above else set()
    with os.scandir(folder) as scanned:
        entries = sorted(scanned, key=lambda entry: (portable(entry.name) != entry.name, entry.name))
    for entry in entries:
        path = f"{above}{entry.name}"
        kind = _KINDS.get(stat.S_IFMT(entry.stat(follow_symlinks=False).st_mode))
        if kind:
            packed.left_out.append((path, kind))
            continue
        name = free_name(portable(entry.name), lambda it: it.casefold() in taken)
        taken.add(name.casefold())
        if name != entry.name:
            packed.changed.append((path, f"{above_in_zip}{name}"))
        yield entry, f"{above_in_zip}{name}"
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(Path(entry.path), f"{path}/", f"{above_in_zip}{name}/", packed)


def _add(
    made: zipfile.ZipFile,
    source: os.DirEntry[str],
    name: str,
    zone: ZoneInfo,
    packed: Packed,
    on_progress: Callable[[int, int], None],
) -> None:
    status = source.stat(follow_symlinks=False)
    if source.is_dir(follow_symlinks=False):
        made.writestr(zipfile.ZipInfo(f"{name}/", _date(status.st_mtime, zone)), b"")
        return
    info = zipfile.ZipInfo(name, _date(status.st_mtime, zone))
    info.compress_type, info.external_attr, info.file_size = zipfile.ZIP_DEFLATED, 0o600 << 16, status.st_size
    fd = os.open(source.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    with os.fdopen(fd, "rb") as file, made.open(info, "w", force_zip64=True) as sink:
        while piece := file.read(READ_SIZE):
            sink.write(piece)
            packed.size += len(piece)
            on_progress(packed.size, packed.files)
    packed.files += 1


def _date(seconds: float, zone: ZoneInfo) -> tuple[int, int, int, int, int, int]:
    """Local time, as a zip has it; what is out of its range becomes the nearest that it can say."""
    try:
        at = datetime.datetime.fromtimestamp(seconds, zone)
    except (ValueError, OverflowError, OSError):
        return _FIRST_YEAR, 1, 1, 0, 0, 0
    if at.year < _FIRST_YEAR:
        return _FIRST_YEAR, 1, 1, 0, 0, 0
    return min(at.year, _LAST_YEAR), at.month, at.day, at.hour, at.minute, at.second


def _note(packed: Packed) -> str:
    lines: list[str] = []
    if packed.changed:
        lines += ["Ces noms ne peuvent pas exister sur tous les ordinateurs ; ils ont été changés :", ""]
        lines += [f"  {printable(before)} → {after}" for before, after in packed.changed]
    if packed.left_out:
        lines += ["", "Ces éléments ne sont pas des fichiers et ne sont pas dans ce dossier compressé :", ""]
        lines += [f"  {printable(path)} ({kind})" for path, kind in packed.left_out]
    return "\r\n".join(lines).strip() + "\r\n"
