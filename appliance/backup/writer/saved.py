"""Whether the archive that was saved last is whole, for who seals the repository afterwards.

    services/SERVICE/borg/saved.json   goes with the repository that it is about

borg says only at its end what it could not read. So a run writes down the name of its archive before borg begins, and
what became of it after: an archive whose run was cut in between is never sealed as whole (`manifests.py: resolve`).
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from appliance.backup.writer.manifest import Manifest
from appliance.borg.names import number_of
from appliance.host.files import make_private_folder, write_atomic
from appliance.host.layout import ServiceLayout
from appliance.trust.generation import Header


@dataclass(frozen=True)
class Completeness:
    """The statement of a header about its newest archive."""

    whole: bool = True
    missing: tuple[int, ...] = ()


UNKNOWN = Completeness(whole=False)
"""The statement on an archive whose run was cut."""


@dataclass(frozen=True)
class Saved:
    """`saving` is the archive that a run has begun and not ended, "" for none; `archive` the last that ended."""

    saving: str = ""
    archive: str = ""
    completeness: Completeness = Completeness()


def load(layout: ServiceLayout) -> Saved:
    """Return what was written down last; nothing where a former version wrote, and UNKNOWN for what cannot be read."""
    try:
        fields = json.loads(_path(layout).read_bytes())
        completeness = Completeness(bool(fields["whole"]), tuple(int(index) for index in fields["missing"]))
        return Saved(str(fields["saving"]), str(fields["archive"]), completeness)
    except FileNotFoundError:
        return Saved()
    except (ValueError, KeyError, TypeError):
        return Saved(saving="?")


def begin(layout: ServiceLayout, archive: str) -> None:
    """Before borg creates `archive`."""
    before = load(layout)
    _save(layout, Saved(archive, before.archive, before.completeness))


def end(layout: ServiceLayout, archive: str, manifest: Manifest) -> None:
    """After `archive` is there, with all that says what it lacks."""
    _save(layout, Saved("", archive, Completeness(manifest.whole, manifest.missing)))


def give_up(layout: ServiceLayout) -> None:
    """The archive that was begun is not there."""
    before = load(layout)
    _save(layout, Saved("", before.archive, before.completeness))


def newest(layout: ServiceLayout, header: Header | None) -> Completeness:
    """The statement of the next header, after the generation of `header`; without a new archive it says the same
    again."""
    saved = load(layout)
    if saved.saving:
        return UNKNOWN
    if saved.archive and (header is None or number_of(saved.archive) > (header.epoch, header.sequence)):
        return saved.completeness
    said = known(layout, header) if header else None
    return Completeness(said.whole, said.missing) if said else Completeness()


def known(layout: ServiceLayout, header: Header) -> Header:
    """`header` as its writer knows it: one of format 1 says nothing of its archive, and would pass for whole as long as
    one holder is of a former version, and in the next generation that is sealed without a new archive."""
    if header.document.format > 1:
        return header
    saved = load(layout)
    epoch, sequence = number_of(saved.archive)
    if epoch != header.epoch or sequence > header.sequence:
        return header
    return replace(header, whole=saved.completeness.whole, missing=saved.completeness.missing)


def _save(layout: ServiceLayout, saved: Saved) -> None:
    fields: dict[str, Any] = {"saving": saved.saving, "archive": saved.archive}
    fields |= {"whole": saved.completeness.whole, "missing": list(saved.completeness.missing)}
    make_private_folder(_path(layout).parent)
    write_atomic(_path(layout), json.dumps(fields).encode(), mode=0o600)


def _path(layout: ServiceLayout) -> Path:
    return layout.borg_base / "saved.json"
