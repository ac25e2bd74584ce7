"""`appliance monitor test-letter`: whether alerts would arrive, asked before something breaks."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from appliance.cli.arguments import dry_run_option
from appliance.cli.monitor import trial
from appliance.cli.output import emit, table
from appliance.clock import SystemClock, utc_text
from appliance.errors import OK, WARNINGS, NotFound, UsageError
from appliance.monitor import post
from appliance.monitor.duty.alertmanager import read_alertmanagers
from appliance.monitor.outbox_server import read_settings
from appliance.monitor.sending.trials import own_alertmanager
from appliance.units import MINUTE

SETTINGS = Path("/etc/appliance/outbox")
"""The file of the queue, written by the role monitoring; it holds passwords, so only root reads it."""

LASTS_SECONDS = 10 * MINUTE
"""How long Alertmanager has the alert of a test message, should it start again meanwhile."""


@click.command("test-letter")
@click.option("names", "--to", metavar="ADDRESSEE", multiple=True, help="Only to this one; may be repeated.")
@click.option("--settings", metavar="FILE", type=click.Path(path_type=Path), default=SETTINGS, show_default=True)
@click.option("--by-alertmanager", is_flag=True, help="By Alertmanager and the queue, as each month, without waiting.")
@dry_run_option
def send_test_letter(names: tuple[str, ...], settings: Path, by_alertmanager: bool, dry_run: bool) -> int:
    """Send a test message to each addressee of this monitoring node, now, and say which server took it, or why not.

    Messages go by the settings and the code of the queue of alerts; nothing is left in it. Exits with 1 when one was
    not taken. A mail server that took a letter may still lose it: look into the mailbox.
    """
    if by_alertmanager:
        return _by_alertmanager(names, settings, dry_run)
    addressees = _addressees(settings)
    if unknown := [it for it in names if it not in addressees]:
        raise UsageError(f'there is no addressee "{unknown[0]}"; known: {", ".join(sorted(addressees))}.')
    wanted = names or tuple(sorted(addressees))
    if dry_run:
        places = {it: trial.place_of(addressees[it]) for it in wanted}
        emit({"would_try": places, "dry_run": True}, table(("ADDRESSEE", "WHERE"), list(places.items())))
        return OK
    message = trial.trial_message(platform.node(), utc_text(SystemClock().now()))
    tried = trial.try_each(addressees, wanted, message, post.send)
    rows = [(it.to, it.place, f"NOT SENT: {it.why} {it.remedy}" if it.why else "the server took it") for it in tried]
    emit({"tried": [vars(it) for it in tried]}, table(("ADDRESSEE", "WHERE", "RESULT"), rows))
    return WARNINGS if any(it.why for it in tried) else OK


def _by_alertmanager(names: tuple[str, ...], settings: Path, dry_run: bool) -> int:
    if names:
        raise UsageError("Alertmanager sends it to everybody.", remedy="Leave out --to, or --by-alertmanager.")
    wanted = sorted(_addressees(settings))
    site = read_alertmanagers(own_alertmanager(read_settings(settings)))
    if not dry_run:
        site.tell(trial.trial_alert(platform.node(), SystemClock().now(), LASTS_SECONDS))
    names_told = ", ".join(wanted)
    said = "would be told" if dry_run else "takes it"
    later = f"The queue delivers to {names_told}; where it does not, EssaiMensuelManquant is sent in a month."
    emit(
        {"told": site.urls[0], "addressees": wanted, "dry_run": dry_run},
        f"Alertmanager {said}: {site.urls[0]}. {later}",
    )
    return OK


def _addressees(settings: Path) -> Mapping[str, Mapping[str, Any]]:
    """The addressees of the queue of this node; NotFound is raised where there is none."""
    try:
        found: Mapping[str, Mapping[str, Any]] = read_settings(settings)["addressees"]
    except FileNotFoundError as error:
        remedy = "Type this on a node with the role monitor, after site.yml."
        raise NotFound("this host sends no alerts.", where=str(settings), remedy=remedy) from error
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        remedy = "Play site.yml again: the role monitoring writes it."
        raise UsageError("this is not a file of addressees.", where=str(settings), remedy=remedy) from error
    if not found:
        remedy = "Name somebody in monitoring_addressees (docs/how-to/monitor.md), then play site.yml."
        raise NotFound("no alert would reach anybody: there is no addressee.", where=str(settings), remedy=remedy)
    return found
