"""What was found, its versions and restore jobs, as JSON values and as text; pure, the commands only print them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from appliance.backup.openable import OpenedSource
from appliance.cli.output import table
from appliance.clock import utc_text
from appliance.restore.job import Job
from appliance.restore.model import Found, Version
from appliance.units import format_bytes, format_count, printable


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
        return "Nothing of that name."
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
    }


def job_text(job: Job, restored: str) -> str:
    what = f"{format_count(job.entries, 'entry', 'entries')}, {format_bytes(job.size)}"
    lines = [f"{printable(restored)}: {what}, from {job.archive}."]
    if job.warnings:
        lines.append(f"Not as they were, {len(job.warnings)}:")
        lines += [f"  {printable(path)}: {printable(reason)}" for path, reason in job.warnings]
    return "\n".join(lines)


def jobs_text(found: Sequence[dict[str, Any]]) -> str:
    rows = [
        (
            it["job"],
            it["service"],
            it["state"],
            it["entries"],
            "in place" if it["in_place"] else printable(it["target"]),
            printable(", ".join(it["paths"])) or "everything",
        )
        for it in found
    ]
    return table(("JOB", "SERVICE", "STATE", "ENTRIES", "TO", "WHAT"), rows)
