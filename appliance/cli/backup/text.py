"""A backup run, a push and a survey as JSON values and as text; pure, the commands only print them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from appliance.backup.chain.chain import Sealed
from appliance.backup.peers.counted import Safety
from appliance.backup.peers.fetch import Survey, short_name
from appliance.backup.peers.push import Pushed
from appliance.backup.sources import Failure
from appliance.backup.writer.manifest import Manifest
from appliance.backup.writer.writer import Run
from appliance.borg.model import Archive
from appliance.cli.output import table
from appliance.clock import utc_text
from appliance.trust.grant import Grant
from appliance.trust.receipt import Receipt
from appliance.units import format_bytes, format_count, format_duration, printable

type Manifests = Mapping[str, Manifest | None]
"""The manifest of each archive, by its name; None where it has none."""
_OFFERS = ("PEER", "OFFERS")


def run_json(run: Run, unsaved: Sequence[Failure] = ()) -> dict[str, Any]:
    header = run.sealed.header
    return {
        "service": run.service,
        "generation": str(header.id),
        "archive": run.created.archive,
        "files": run.created.files,
        "original_bytes": run.created.original_bytes,
        "new_bytes": run.created.deduplicated_bytes,
        "generation_bytes": header.bytes,
        "left_out": [{"path": item.path, "reason": item.reason} for item in run.left_out],
        "accepted": [{"path": it.path, "reason": it.reason} for it in run.manifest.accepted],
        "read_from": [{"path": it.path, "how": it.how, "reason": it.reason} for it in run.read_from],
        "failures": [{"what": failure.what, "error": str(failure.error)} for failure in run.failures],
        "branches_unsaved": [{"what": branch.what, "error": str(branch.error)} for branch in unsaved],
        "peers": peers_json(run.pushed),
        "safety": safety_json(run.safety),
        "seconds": round(run.seconds, 3),
    }


def run_text(run: Run, unsaved: Sequence[Failure] = ()) -> str:
    created, header = run.created, run.sealed.header
    lines = [
        f"{run.service}: generation {header.id} in {format_duration(run.seconds)}: "
        f"{format_count(created.files, 'file')}, {format_bytes(created.original_bytes)}, "
        f"{format_bytes(created.deduplicated_bytes)} of them new.",
        *_pushed_lines(run.pushed),
        f"{run.safety}",
    ]
    lines += [f"Failed: {failure.what}: {failure.error}" for failure in run.failures]
    lines += [f"Not saved, {branch.what}: {branch.error}" for branch in unsaved]
    lines += [f"Without {it}." for it in run.manifest.accepted]
    if run.left_out:
        lines.append(f"Left out, {len(run.left_out)}:")
        lines += [f"  {printable(item.path)}: {printable(item.reason)}" for item in run.left_out]
    return "\n".join(lines)


def push_json(service: str, generation: str, pushed: Sequence[Pushed], safety: Safety) -> dict[str, Any]:
    return {
        "service": service,
        "generation": generation,
        "peers": peers_json(pushed),
        "safety": safety_json(safety),
    }


def push_text(service: str, generation: str, pushed: Sequence[Pushed], safety: Safety) -> str:
    done = _pushed_lines(pushed) or ["Every peer has it already."]
    return "\n".join((f"{service}: generation {generation}", *done, f"{safety}"))


def shown_json(
    service: str,
    newest: Sealed | None,
    grant: Grant | None,
    receipts: Iterable[Receipt],
    safety: Safety,
    still: float = 0.0,
) -> dict[str, Any]:
    """`still`: until when nothing had changed since, UTC seconds; 0 where nobody said so."""
    header = newest.header if newest else None
    return {
        "service": service,
        "writer": grant.writer if grant else None,
        "epoch": grant.epoch if grant else None,
        "generation": str(header.id) if header else None,
        "generation_bytes": header.bytes if header else None,
        "sealed": header.time if header else None,
        "still": utc_text(still) if still else None,
        "receipts": [{"peer": it.holder, "time": it.time} for it in receipts],
        "safety": safety_json(safety),
    }


def shown_text(
    service: str, newest: Sealed | None, receipts: Iterable[Receipt], safety: Safety, still: float = 0.0
) -> str:
    if newest is None:
        return f"{service}: no generation was sealed here yet."
    header = newest.header
    return "\n".join(
        (
            f"{service}: generation {header.id} of {header.time}, {format_bytes(header.bytes)}.",
            *(f"  {it.holder} has held it since {it.time}" for it in receipts),
            *([f"  nothing changed until {utc_text(still)}, as they signed"] if still else []),
            f"{safety}",
        )
    )


def peers_json(pushed: Iterable[Pushed]) -> list[dict[str, Any]]:
    return [
        {
            "peer": it.peer,
            "receipt": it.receipt is not None,
            "bytes_sent": it.bytes_sent,
            "seconds": round(it.seconds, 3),
            "error": str(it.error) if it.error else None,
        }
        for it in pushed
    ]


def safety_json(safety: Safety) -> dict[str, Any]:
    return {
        "safe": safety.safe,
        "held": safety.held,
        "whole": safety.whole,
        "counted": list(safety.counted),
        "acknowledged": list(safety.acknowledged),
        "promised": safety.promised,
    }


def archives_json(service: str, archives: Iterable[Archive], known: Manifests) -> dict[str, Any]:
    """`whole` is null where the archive does not say; `missing` are declared paths, `left_out` counts what lies in all
    of them."""
    found = [
        {"name": it.name, "time": utc_text(it.start_utc_seconds), "id": it.id, **_wholeness(known.get(it.name))}
        for it in archives
    ]
    return {"service": service, "archives": found}


def archives_text(archives: Iterable[Archive], known: Manifests) -> str:
    """A third column says what archives lack, when there is one."""
    rows = [(it.name, utc_text(it.start_utc_seconds), _lacking(known.get(it.name))) for it in archives]
    columns = 3 if any(lacking for _, _, lacking in rows) else 2
    return table(("ARCHIVE", "TIME", "PARTIAL: MISSING")[:columns], [row[:columns] for row in rows])


def _wholeness(said: Manifest | None) -> dict[str, Any]:
    if said is None:
        return {"whole": None, "missing": [], "left_out": 0, "accepted": 0}
    missing = [{"path": it.path, "state": it.state} for it in said.paths if it.state != "read"]
    counts = {"left_out": said.left_out_count, "accepted": said.accepted_count}
    return {"whole": said.whole, "missing": missing, **counts}


def _lacking(said: Manifest | None) -> str:
    """Return what an archive lacks; "" for one of a former version, which does not say."""
    if said is None:
        return ""
    if said.whole:
        return f"whole but for {format_count(said.accepted_count, 'accepted file')}" if said.accepted_count else ""
    named = [f"{it.path} ({'all' if it.state == 'failed' else 'in part'})" for it in said.paths if it.state != "read"]
    if not named and said.left_out and not said.left_out[0].path:
        return printable(f"not known: {said.left_out[0].reason}")
    return printable(", ".join(named)) or format_count(said.left_out_count, "file")


def survey_json(found: Survey, newest: str, less: Sequence[str]) -> dict[str, Any]:
    """The peers that answered, those that offer less than `newest`, and those that were silent with the reason."""
    return {
        "newest": short_name(newest),
        "answered": [head.peer for head in found.heads],
        "behind": list(less),
        "silent": dict(found.silent),
        "warning": found.told() or None,
    }


def survey_text(found: Survey, newest: str) -> str:
    rows = [(head.peer, short_name(head.held[-1]) if head.held else "nothing") for head in found.heads]
    rows += [(peer, f"no answer: {why}") for peer, why in sorted(found.silent.items())]
    return "\n".join((f"The newest attested generation is {short_name(newest)}.", table(_OFFERS, rows)))


def _pushed_lines(pushed: Sequence[Pushed]) -> list[str]:
    rows = [
        (
            it.peer,
            "receipt" if it.receipt else "no receipt",
            format_bytes(it.bytes_sent),
            format_duration(it.seconds),
            printable(str(it.error)) if it.error else "",
        )
        for it in pushed
    ]
    return [table(("PEER", "STATE", "SENT", "TOOK", "WHY"), rows)] if rows else []
