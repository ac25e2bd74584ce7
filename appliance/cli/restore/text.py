"""The found files, their versions and restore jobs, as JSON values and as text; pure, the commands only print them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from appliance.backup.peers.openable import OpenedSource
from appliance.backup.writer.filling import Filling, Raw
from appliance.backup.writer.manifest import Accepted
from appliance.cli.arguments import command
from appliance.cli.output import table
from appliance.clock import utc_text
from appliance.restore.job import UNENDED, Job
from appliance.restore.model import Found, Version
from appliance.restore.unended import give_up_words, line_of
from appliance.units import format_bytes, format_count, printable

FILLED_MAX = 20
"""How many paths are named; `--json` has all."""


def source_json(opened: OpenedSource) -> dict[str, Any]:
    return {"place": opened.place, "generation": opened.generation or None, "warning": opened.told or None}


def found_json(service: str, found: Found) -> dict[str, Any]:
    """`newest`: when the newest version was changed, None for a folder; `deleted_since`: when it was last saved."""
    return {
        "service": service,
        "path": found.path,
        "kind": found.kind,
        "size_bytes": found.size,
        "versions": found.versions,
        "newest": utc_text(found.mtime_seconds) if found.mtime_seconds else None,
        "deleted_since": utc_text(found.last_seen_seconds) if found.deleted else None,
    }


def found_text(found: Sequence[dict[str, Any]]) -> str:
    if not found:
        return "No file with that name."
    rows = [
        (
            it["service"],
            it["versions"],
            it["newest"] or "-",
            format_bytes(it["size_bytes"]) if it["kind"] == "file" else it["kind"],
            it["deleted_since"] or "-",
            printable(it["path"]),
        )
        for it in found
    ]
    return table(("SERVICE", "VERSIONS", "CHANGED", "SIZE", "DELETED SINCE", "PATH"), rows)


def versions_json(found: Iterable[Version]) -> list[dict[str, Any]]:
    """Numbered from 1, the newest: the number that `restore file --version` takes."""
    return [
        {
            "version": number,
            "archive": it.archive,
            "kind": it.kind,
            "size_bytes": it.size,
            "changed": utc_text(it.mtime_seconds) if it.mtime_seconds else None,
            "first_seen": utc_text(it.first_seen_seconds),
            "last_seen": utc_text(it.last_seen_seconds),
            "current": it.current,
        }
        for number, it in enumerate(found, start=1)
    ]


def versions_text(found: Sequence[dict[str, Any]]) -> str:
    rows = [
        (
            it["version"],
            it["changed"] or "-",
            format_bytes(it["size_bytes"]) if it["kind"] == "file" else it["kind"],
            it["first_seen"],
            it["last_seen"],
            "now" if it["current"] else "",
        )
        for it in found
    ]
    return table(("VERSION", "CHANGED", "SIZE", "FIRST SAVED", "LAST SAVED", ""), rows)


def job_json(service: str, job: Job) -> dict[str, Any]:
    return {
        "service": service,
        "job": job.id,
        "state": job.state,
        "archive": job.archive,
        "paths": list(job.paths),
        "target": str(job.target),
        "in_place": job.in_place,
        "entries": job.entries,
        "size_bytes": job.size,
        "created": utc_text(job.created_utc_seconds),
        "warnings": [{"path": path, "reason": reason} for path, reason in job.warnings],
        **({"next": _next(service, job)} if job.state in UNENDED else {}),
    }


def job_text(job: Job, restored: str) -> str:
    what = f"{format_count(job.entries, 'entry', 'entries')}, {format_bytes(job.size)}"
    lines = [f"{printable(restored)}: {what}, from {job.archive}."]
    if job.warnings:
        lines.append(f"Not restored exactly, {len(job.warnings)}:")
        lines += [f"  {printable(path)}: {printable(reason)}" for path, reason in job.warnings]
    return "\n".join(lines)


def filled_json(filled: Filling) -> dict[str, Any]:
    """`filled` came from older archives, `missing` is in none that was asked, nor is what was `accepted`; `raw` was not
    copied as it should be."""
    return {
        "filled": [{"path": it.path, "archive": it.archive} for it in filled.fills],
        "missing": list(filled.nowhere),
        "accepted": [{"path": it.path, "since": utc_text(it.since), "on": utc_text(it.on)} for it in filled.accepted],
        "raw": [{"path": it.path, "reason": it.reason, "copied": it.copied} for it in filled.raw],
    }


def accepted_text(accepted: Sequence[Accepted]) -> list[str]:
    """The lines that an archive which counts as whole is without these."""
    lines = [f"Without {it}." for it in accepted[:FILLED_MAX]]
    more = len(accepted) - FILLED_MAX
    return [*lines, *([f"And without {more} more; --json names them."] if more > 0 else [])]


def filled_text(service: str, filled: Filling) -> list[str]:
    """Where each path is from that a partial archive lacks, and what of it may be torn; nothing for a whole one."""
    kinds = (
        [f"{printable(it.path)} is from {it.archive}: the newest backup lacks it." for it in filled.fills],
        [f"{printable(it)} is missing: this backup is partial and lacks it." for it in filled.nowhere],
        [_raw_text(service, it) for it in filled.raw],
    )
    more = sum(max(0, len(lines) - FILLED_MAX) for lines in kinds)
    lines = [line for kind in kinds for line in kind[:FILLED_MAX]]
    return [*lines, *([f"{more} more such paths; --json names them."] if more else [])]


def _raw_text(service: str, raw: Raw) -> str:
    """SQLite needs the files beside a database that was at work."""
    path = printable(raw.path)
    said = f"{path} is the raw file of a database, not a clean copy, and may be inconsistent: {printable(raw.reason)}"
    if not raw.copied:
        return f"{said} No earlier backup has a copy. Restore {path}-wal and {path}-journal too, if they exist."
    line = command("restore", "file", raw.path, "--service", service, "--archive", raw.copied, "--to", "DIR")
    return f"{said} The last copy: {line}"


def _next(service: str, job: Job) -> dict[str, list[str]]:
    """Return what may be typed: words of this program, without its name."""
    return {"end": list(line_of(service, job)), "give_up": list(give_up_words(service, job))}


def jobs_text(found: Sequence[dict[str, Any]]) -> str:
    rows = [
        (
            it["job"],
            it["service"],
            it["state"],
            it["entries"],
            it["archive"],
            "in place" if it["in_place"] else printable(it["target"]),
            printable(", ".join(it["paths"])) or "everything",
        )
        for it in found
    ]
    lines = [table(("JOB", "SERVICE", "STATE", "ENTRIES", "ARCHIVE", "TO", "WHAT"), rows)]
    for it in found:
        if "next" in it:
            lines += [f"{it['job']} has not finished. To finish it: {command(*it['next']['end'])}"]
            lines += [f"  To give it up: {command(*it['next']['give_up'])}"]
    return "\n".join(lines)
