"""`appliance territory grant`: the next epoch of a service, by the holder of the territory key, away from any node."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from appliance.cli.arguments import (
    FILE_TYPE,
    NAME_TYPE,
    check_folder,
    check_writable,
    dry_run_option,
    naming,
    read_file,
    write_file,
)
from appliance.cli.confirm import confirm
from appliance.cli.output import emit, say
from appliance.cli.signed_bundle import key_option, signed_bundle
from appliance.cli.territory.again import noted_in, say_again
from appliance.errors import Refused, UsageError
from appliance.trust import signed
from appliance.trust.bundle import Bundle
from appliance.trust.grant import REQUEST_TYPE, Grant, GrantRequest, read_request
from appliance.trust.granted import Granted
from appliance.trust.keys import load_key
from appliance.trust.signed import fingerprint
from appliance.units import as_typed, printable


@click.command()
@click.argument("requests", metavar="REQUEST...", type=FILE_TYPE, nargs=-1, required=True)
@click.option("--bundle", required=True, metavar="FILE", type=FILE_TYPE, help="The bundle in force.")
@key_option
@click.option(
    "--out",
    required=True,
    metavar="FILE|DIR",
    help="Where to write the grant; a DIR for several, which DIR/ makes where it is missing.",
)
@click.option(
    "--take-from",
    "taken",
    multiple=True,
    metavar="NODE",
    type=NAME_TYPE,
    help="Take the service from NODE, which serves it according to the request; may be repeated.",
)
@click.option("--yes", is_flag=True, help="Sign without asking.")
@dry_run_option
def grant(
    requests: tuple[Path, ...],
    bundle: Path,
    key: Path,
    out: str,
    taken: tuple[str, ...],
    yes: bool,
    dry_run: bool,
) -> None:
    """Grant the next epoch to the node that signed REQUEST, after showing the node, the service and the reason.

    From then on only that node can write the service. Be sure that the present writer is gone or has stopped. A request
    that names another node as serving it needs --take-from; `appliance failover handback` loses nothing. Each of
    several requests is confirmed separately, and DIR gets a file SERVICE.grant for each.
    """
    place, single = _place(out, len(requests))
    territory_key = load_key(key)
    in_force = signed_bundle(bundle, territory_key)
    asked = _read_requests(requests, in_force)
    granted = Granted(key)
    answers = [granted.grant(territory_key, it, above=in_force.passed_epoch(it.service)) for it in asked]
    files = [place if single else place / f"{it.service}.grant" for it in answers]
    shown = [_asked(it, answer, in_force) for it, answer in zip(asked, answers, strict=True)]
    if not dry_run:
        for it in asked:
            _check_taking(it, taken)
        for answer, file, words in zip(answers, files, shown, strict=True):
            confirm(words, "Sign this grant?", yes=yes, what="a grant")
            file.parent.mkdir(exist_ok=True)
            granted.save()
            write_file(file, answer.document.raw)
    values = [
        {**_grant_json(answer, file, dry_run), "takes_from": request.takes_from}
        for request, answer, file in zip(asked, answers, files, strict=True)
    ]
    said = shown if dry_run else [f"{it['out']}: {it['writer']} may write {it['service']}." for it in values]
    emit(values[0] if single else {"grants": values}, "\n".join(said))
    if dry_run:
        return
    if line := noted_in(requests[0].parent):
        say_again(line)
        return
    for told in values:
        _say_next(told, told["previous"] > in_force.revoked.ended_epoch(told["service"]))


def _place(out: str, requests: int) -> tuple[Path, bool]:
    """Where grants are written, and whether that is one file. The folder may be missing when "/" ends its name: an
    empty one is lost where a folder travels by git or by mail."""
    place = Path(out)
    single = requests == 1 and not place.is_dir() and not out.endswith("/")
    to_make = out.endswith("/") and not place.exists()
    check_writable(place) if single or to_make else check_folder(place)
    return place, single


def _grant_json(answer: Grant, file: Path, dry_run: bool) -> dict[str, Any]:
    return {
        "service": answer.service,
        "writer": answer.writer,
        "epoch": answer.epoch,
        "previous": answer.previous,
        "repository": answer.repository,
        "reason": answer.reason,
        "out": str(file),
        "written": not dry_run,
    }


def _say_next(values: Mapping[str, Any], continues: bool) -> None:
    """A service that begins, or starts over after a revocation, has nothing that was fetched."""
    service = values["service"]
    verb = ("resync", service, "--grant") if continues else ("accept", service)
    taking = ("--take-from", values["takes_from"]) if values["takes_from"] else ()
    say(f"Next, on {values['writer']}: {as_typed('appliance', 'backup', *verb, values['out'], *taking)}")
    if continues:
        say("Add --recovery-sheet if that node is a new machine: it has no envelope of its own.")


def _read_requests(files: Sequence[Path], in_force: Bundle) -> list[GrantRequest]:
    """All of them, before any is answered; two of one service would make two writers of it."""
    asked = [_read_request(file, in_force) for file in files]
    for service, count in Counter(it.service for it in asked).items():
        if count > 1:
            raise UsageError(f"{count} requests are for {service}.", remedy="Give the one to be granted.")
    return asked


def _read_request(file: Path, in_force: Bundle) -> GrantRequest:
    """The request, signed by the key that the bundle has for who it says asks."""
    raw = read_file(file)
    with naming(file, "a request for a grant"):
        line, _ = signed.split(raw, REQUEST_TYPE)
        claimed = str(signed.parse(line, REQUEST_TYPE).get("writer"))
        asked = read_request(raw, in_force.member(claimed).keys.sign)
    in_force.terms(asked.service)
    return asked


def _check_taking(asked: GrantRequest, taken: Sequence[str]) -> None:
    """Raise Refused for what takes a service from a node that serves it, unless that node was named."""
    if asked.takes_from and asked.takes_from not in taken:
        back = as_typed("appliance", "failover", "handback", asked.service)
        raise Refused(
            f"{asked.takes_from} serves {asked.service} according to {asked.writer}; this grant takes the service "
            "from it, and what was written there since the newest generation is lost to the service.",
            remedy=f"`{back}` hands it back without a loss. To accept the loss: --take-from {asked.takes_from}.",
        )


def _asked(asked: GrantRequest, answer: Grant, in_force: Bundle) -> str:
    terms = in_force.terms(asked.service)
    parts = {terms.origin: "its origin", **dict.fromkeys(terms.standbys, "a standby of it")}
    lost = ", which serves it: what was written there since the newest generation is lost"
    return "\n".join(
        (
            f"service     {asked.service} ({terms.service.title or terms.service.kind})",
            f"writer      {asked.writer}, {parts.get(asked.writer, 'NEITHER its origin NOR a standby of it')}",
            *([f"taken from  {asked.takes_from}{lost}"] if asked.takes_from else []),
            f"key         {fingerprint(asked.writer_key)}",
            f"epoch       {answer.epoch}, after {asked.known_epoch or 'none'}",
            f"repository  {asked.repository[:16]}...",
            f"reason      {printable(asked.reason)}",
        )
    )
