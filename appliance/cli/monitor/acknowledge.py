"""`appliance monitor acknowledge`: take care of alerts, so that nobody further is called."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import click

from appliance.cli.arguments import FILE_TYPE, NAME_TYPE, check_writable, dry_run_option, naming, read_file, write_file
from appliance.cli.output import emit, say, table
from appliance.cli.this_node import this_node
from appliance.clock import SystemClock, utc_text
from appliance.errors import NotFound, UsageError
from appliance.monitor.duty.queue_client import QUEUE, ask
from appliance.monitor.duty.service import read_key, refusal
from appliance.monitor.duty.statement import make_statement, read_statement
from appliance.monitor.duty.tokens import ALERTS_MAX, FINGERPRINT, TOKENS, make_token
from appliance.units import as_typed, printable

FOLDER = Path("/var/lib/appliance-outbox")


@click.command("acknowledge")
@click.argument("alerts", metavar="[ALERT]...", nargs=-1)
@click.option("--place", metavar="PLACE", default="", help="The node or site of an ALERT that fires at several.")
@click.option("--operator", type=NAME_TYPE, help="The person who takes care, as named in territory.yml.")
@click.option("--key", metavar="FILE", type=FILE_TYPE, help="The person's SSH key; hardware keys and agents work.")
@click.option("--out", metavar="FILE", type=FILE_TYPE, help="Only sign, on any machine, and write the statement here.")
@click.option("--statement", metavar="FILE", type=FILE_TYPE, help="Take a statement that was signed elsewhere.")
@click.option("--queue", metavar="URL", default=QUEUE, hidden=True)
@click.option("--folder", metavar="FOLDER", type=FILE_TYPE, default=FOLDER, hidden=True)
@dry_run_option
def acknowledge(
    alerts: tuple[str, ...],
    place: str,
    operator: str | None,
    key: Path | None,
    out: Path | None,
    statement: Path | None,
    queue: str,
    folder: Path,
    dry_run: bool,
) -> None:
    """Say that you take care of each ALERT, so that the next person on duty is not called for 24 hours.

    ALERT is the name of an alert, or its reference of 16 digits in the letter. Without any, the command lists all that
    fires, and who takes care of it. Type it on a monitoring node; with --out it only signs, on any machine, and
    --statement brings the file to a monitoring node within the hour.
    """
    if statement is not None:
        _hand_over(read_file(statement), statement, queue, folder, dry_run=dry_run)
    elif not alerts:
        _list(queue)
    elif operator is None or key is None:
        typed = as_typed("appliance", "monitor", "acknowledge", *alerts)
        raise UsageError("a person signs for it.", remedy=f"Type: {typed} --operator NAME --key FILE")
    else:
        fingerprints = _fingerprints(alerts, place, queue, asks=out is None)
        if not key.is_file():
            raise NotFound("there is no such key.", where=str(key))
        if out is not None:
            _sign(operator, fingerprints, key, out, dry_run=dry_run)
        else:
            raw = make_statement(operator, fingerprints, SystemClock().now(), key)
            _hand_over(raw, key, queue, folder, dry_run=dry_run)


def _list(queue: str) -> None:
    found = ask(f"{queue}/firing")["firing"]
    rows = [
        (it["fingerprint"], it["alert"], it["place"], utc_text(it["began"]), it["by"], printable(it["summary"]))
        for it in found
    ]
    emit({"firing": found}, table(("REFERENCE", "ALERT", "PLACE", "SINCE", "TAKEN BY", "WHAT"), rows))


def _fingerprints(alerts: Collection[str], place: str, queue: str, *, asks: bool) -> tuple[str, ...]:
    """The fingerprints of `alerts`; names are looked up at the queue, which there is at a monitoring node alone."""
    if all(map(FINGERPRINT.fullmatch, alerts)):
        found = tuple(dict.fromkeys(alerts))
    elif not asks:
        raise UsageError("elsewhere than on a monitoring node an ALERT is its reference of 16 digits in the letter.")
    else:
        firing = ask(f"{queue}/firing")["firing"]
        found = tuple(dict.fromkeys(mark for it in alerts for mark in _named(it, place, firing)))
    if len(found) > ALERTS_MAX:
        raise UsageError(f"these are {len(found)} alerts, more than {ALERTS_MAX}.", remedy="Name some of them.")
    return found


def _named(alert: str, place: str, firing: Collection[Mapping[str, Any]]) -> tuple[str, ...]:
    if FINGERPRINT.fullmatch(alert):
        return (alert,)
    found = [it for it in firing if it["alert"] == alert and place in ("", it["place"])]
    places = sorted({it["place"] for it in found})
    if not found:
        names = ", ".join(sorted({it["alert"] for it in firing})) or "nothing"
        raise NotFound(f'no alert "{printable(alert)}" fires{f" at {place}" if place else ""}; what fires: {names}.')
    if len(places) > 1:
        remedy = f"Name one: --place {places[0] or places[1]}. `appliance monitor acknowledge` lists them."
        raise UsageError(f"{alert} fires at {', '.join(map(str, places))}.", remedy=remedy)
    return tuple(it["fingerprint"] for it in found)


def _sign(operator: str, fingerprints: tuple[str, ...], key: Path, out: Path, *, dry_run: bool) -> None:
    check_writable(out)
    if not dry_run:
        write_file(out, make_statement(operator, fingerprints, SystemClock().now(), key))
    emit(
        {"person": operator, "alerts": fingerprints, "out": str(out), "written": not dry_run},
        f"{operator} {'would sign' if dry_run else 'signs'} for {', '.join(fingerprints)}: {out}",
    )
    if not dry_run:
        say(f"Next, at a monitoring node: {as_typed('appliance', 'monitor', 'acknowledge', '--statement', str(out))}")


def _hand_over(raw: bytes, file: Path, queue: str, folder: Path, *, dry_run: bool) -> None:
    """Check the statement by the bundle of this node, and give it to the queue by a token that its key makes."""
    now = SystemClock().now()
    with naming(file, "a statement"):
        found = read_statement(raw, this_node().bundle.operators, now)
    token = make_token(read_key(folder), found)
    answer = ask(f"{queue}{TOKENS}{token}", "GET" if dry_run else "POST")
    if answer["reason"]:
        raise refusal(answer["reason"], found.person)
    taken = [f"{it['by']} takes care of {it['alert']} {it['place']} already." for it in answer["taken"]]
    verb = "would take" if dry_run else "takes"
    done = [f"{found.person} {verb} care of {it['alert']} {it['place']} for 24 h." for it in answer["open"]]
    emit({**answer, "dry_run": dry_run}, "\n".join([*done, *taken]))
