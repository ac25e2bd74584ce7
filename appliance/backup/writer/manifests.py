"""The places of manifests: a short one in the comment of each archive, the full one of a partial archive in a
companion.

borg names files that it cannot read at its end, when the comment is written already. So an archive that lacks something
gets a *companion*, a small archive whose one file is its manifest with the names of what is missing, and whose comment
is the short one. Names of files are in no comment: everybody on the machine can read the words of a command.
"""

from __future__ import annotations

import io
import shutil
from collections.abc import Buffer, Callable, Collection, Iterable
from dataclasses import replace

from appliance.backup.sources.model import Prepared
from appliance.backup.writer import saved
from appliance.backup.writer.manifest import (
    DATABASE,
    MANIFEST_BYTES_MAX,
    Accepted,
    Aged,
    LeftOut,
    Manifest,
    PathManifest,
    decode,
    encode,
)
from appliance.borg.client import Borg
from appliance.borg.errors import BorgFailed, BorgKilled, PathMissing, RepositoryDamaged
from appliance.borg.model import Archive, Created
from appliance.borg.names import companion_name, companion_of, is_numbered
from appliance.errors import IntegrityError, NotFound, Refused, UsageError
from appliance.host.files import make_private_folder, write_atomic
from appliance.host.layout import ServiceLayout

FILE = "manifest.json"
COMMENT_BYTES_MAX = 64 * 1024
"""Linux takes no longer word of a command than 128 KiB."""
CUT = LeftOut("", "the backup was interrupted before borg reported what it could not read")


def manifests(borg: Borg, service: str) -> dict[str, Manifest | None]:
    """The manifest of each archive of `service`, oldest first, without the names of what is missing; one `borg list`.

    None for an archive of a former version, which says nothing. One whose manifest is cut, lies about its form or is of
    a later version is partial: `reason` and `left_out` say so.
    """
    return read_all(borg.commented())


def read_all(archives: Iterable[Archive]) -> dict[str, Manifest | None]:
    """The same of archives that were listed with their comments."""
    listed = tuple(archives)
    said = {about: it for it in listed if (about := companion_of(it.name))}
    own = (it for it in listed if companion_of(it.name) is None)
    return {it.name: _short(said.get(it.name, it), is_partial=it.name in said) for it in own}


def manifest_of(borg: Borg, archive: str) -> Manifest | None:
    """The manifest of `archive` with the names of what is missing; None when it says nothing."""
    listed = {it.name: it for it in borg.commented()}
    if archive not in listed:
        raise NotFound(f"Archive {archive} does not exist.")
    companion = listed.get(companion_name(archive)) if any(companion_of(name) == archive for name in listed) else None
    if companion is None:
        return _short(listed[archive], is_partial=False)
    content = _Bounded()
    try:
        borg.extract_to(companion.name, FILE, content)
    except (RepositoryDamaged, BorgKilled):
        raise
    except (BorgFailed, IntegrityError, PathMissing, UsageError) as error:
        return _unread(f"its manifest cannot be read: {error.what}")
    return _read(content.getvalue().decode(errors="replace"))


def comment(manifest: Manifest) -> str:
    """The text for the comment of an archive: no names of files, and no reasons but notes on a database; nothing when
    even that is too long."""
    paths = tuple(path if _is_noted(path) else replace(path, reason="") for path in manifest.paths)
    text = encode(replace(manifest, paths=paths, left_out=(), accepted=()))
    return text if len(text) <= COMMENT_BYTES_MAX else ""


def _is_noted(path: PathManifest) -> bool:
    return path.state == "read" and path.path.startswith(DATABASE)


def add_companion(borg: Borg, layout: ServiceLayout, archive: str, manifest: Manifest) -> None:
    """Say beside `archive` what it lacks. The caller has checked the counters: this is a borg that writes."""
    folder = layout.root / "manifest"
    shutil.rmtree(folder, ignore_errors=True)
    make_private_folder(folder)
    write_atomic(folder / FILE, encode(manifest).encode(), mode=0o600)
    name, words = companion_name(archive), comment(manifest)
    borg.create(name, [FILE], cwd=folder, comment=words, checkpoint_seconds=0, files_cache=False)
    shutil.rmtree(folder, ignore_errors=True)


def resolve(borg: Borg, layout: ServiceLayout, service: str, check: Callable[[], object]) -> None:
    """Settle what a run that was cut has left: its archive, if it is there, gets a companion that says so.

    `check` looks at the counters before borg writes.
    """
    cut = saved.load(layout).saving
    if not cut:
        return
    listed = {it.name: it for it in borg.commented()}
    if cut not in listed or not is_numbered(cut, service):
        saved.give_up(layout)
        return
    if any(companion_of(name) == cut for name in listed):
        manifest = _short(listed[companion_name(cut)], is_partial=True) or Manifest(())
    else:
        before = _short(listed[cut], is_partial=False) or Manifest(())
        manifest = replace(before, left_out=(*before.left_out, CUT), left_out_count=before.left_out_count + 1)
        check()
        add_companion(borg, layout, cut, manifest)
    saved.end(layout, cut, manifest)


def before_borg(source: Prepared, aged: Aged, accepted: Collection[Accepted] = ()) -> Manifest:
    """Return what is known of `source` before borg reads it; a path that lacks only what is `accepted` is read."""
    missed = tuple(it for it in source.left_out if it.is_missing)
    taken, left = _apart(missed, accepted)
    lacking = {part_of(source, it.path) for it in left}
    settled = {part_of(source, it.path) for it in taken} - lacking
    paths = tuple(
        replace(part.manifest, state="read", reason="")
        if index in settled and part.manifest.state == "partly"
        else part.manifest
        for index, part in enumerate(source.parts)
    )
    return Manifest(paths, left, len(left), aged, taken, len(taken))


def after_borg(
    before: Manifest, source: Prepared, warned: Iterable[LeftOut], accepted: Collection[Accepted] = ()
) -> Manifest:
    """`before` with what borg could not read, by the path that it lies in."""
    named = {it.path for it in before.left_out} | {it.path for it in before.accepted}
    taken, new = _apart((it for it in warned if it.is_missing and it.path not in named), accepted)
    reasons: dict[int, str] = {}
    for it in new:
        if (index := part_of(source, it.path)) is not None:
            reasons.setdefault(index, it.reason)
    paths = tuple(_partly(path, reasons.get(index)) for index, path in enumerate(before.paths))
    left_out, all_taken = (*before.left_out, *new), (*before.accepted, *taken)
    return Manifest(paths, left_out, len(left_out), before.aged, all_taken, len(all_taken))


def all_left_out(created: Created, source: Prepared, manifest: Manifest) -> tuple[LeftOut, ...]:
    """Return borg's warnings and what the walk found before, each path once, without those that an operator
    accepted."""
    by_borg, accepted_names = warned(created), {it.path for it in manifest.accepted}
    named = {item.path for item in by_borg} | accepted_names
    return (
        *(item for item in by_borg if item.path not in accepted_names),
        *(item for item in source.left_out if item.path not in named),
    )


def warned(created: Created) -> tuple[LeftOut, ...]:
    """Return the files that borg could not read, under the names of the source."""
    return tuple(LeftOut("/" + warning.path.lstrip("/"), warning.reason) for warning in created.warnings)


def _apart(
    missed: Iterable[LeftOut], accepted: Collection[Accepted]
) -> tuple[tuple[Accepted, ...], tuple[LeftOut, ...]]:
    """Return the part of `missed` that is accepted for this very reason, and the rest."""
    by_name = {(it.path, it.reason): it for it in accepted}
    found = tuple(missed)
    taken = tuple(by_name[key] for it in found if (key := (it.path, it.reason)) in by_name)
    return taken, tuple(it for it in found if (it.path, it.reason) not in by_name)


def part_of(source: Prepared, path: str) -> int | None:
    """Which of the declared paths `path` lies in, by its index; None for none."""
    roots = [
        (len(root), index)
        for index, part in enumerate(source.parts)
        for root in part.roots
        if f"{path}/".startswith(root.rstrip("/") + "/")
    ]
    return max(roots)[1] if roots else None


def _partly(path: PathManifest, reason: str | None) -> PathManifest:
    return replace(path, state="partly", reason=reason) if reason and path.state == "read" else path


def _short(archive: Archive, *, is_partial: bool) -> Manifest | None:
    if not archive.comment and not is_partial:
        return None
    found = _read(archive.comment)
    if is_partial and found.whole and not found.accepted_count:
        return replace(found, left_out_count=1)
    return found


def _read(text: str) -> Manifest:
    """The manifest in `text`, or a partial one that says why it cannot be read: nothing is forgotten for its sake."""
    try:
        return decode(text)
    except (IntegrityError, Refused) as error:
        return _unread(str(error))


def _unread(reason: str) -> Manifest:
    return Manifest((), (LeftOut("", reason),), 1)


class _Bounded(io.BytesIO):
    """borg stores a file of endless zeros in a few bytes, and would write it all out."""

    def write(self, data: Buffer, /) -> int:
        written = super().write(data)
        if self.tell() > MANIFEST_BYTES_MAX:
            raise IntegrityError(f"the manifest has more than the {MANIFEST_BYTES_MAX} bytes allowed.")
        return written
