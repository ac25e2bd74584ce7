"""Restores that have not ended, of whichever service: a standby restores what it neither writes nor holds here."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from appliance.monitor.view import Unended
from appliance.node.handle import Node
from appliance.restore.job import Job
from appliance.restore.unended import give_up_words, line_of, unended
from appliance.units import as_typed, printable


def restored_services(node: Node) -> Iterator[str]:
    """Those of which there are, or were, restores here."""
    return (path.name for path in sorted(node.layout.restores.glob("[!.]*")))


def unended_restores(node: Node, service: str) -> tuple[Unended, ...]:
    restores = node.service(service).restores
    return tuple(_unended(service, job) for job in unended(restores) if not _is_download(job, restores))


def _is_download(job: Job, restores: Path) -> bool:
    """One of the pages, which nobody ends by typing; what it took out goes by itself after seven days."""
    return job.target.is_relative_to(restores.absolute())


def _unended(service: str, job: Job) -> Unended:
    end = line_of(service, job)
    # A file's name may have been chosen by anybody who writes to the share: programs read commands between backquotes.
    is_plain = all(printable(word) == word and "`" not in word for word in end)
    return Unended(
        service,
        job.id,
        job.created_utc_seconds,
        job.begun_age_seconds,
        as_typed("appliance", *end) if is_plain else "",
        as_typed("appliance", *give_up_words(service, job)),
    )
