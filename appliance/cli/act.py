"""`appliance act`: what operators state under their own SSH key, and nodes obey while it is in force."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from appliance import typed
from appliance.backup.peers.last_seen import heard_times
from appliance.cli.arguments import (
    FILE_TYPE,
    NAME_TYPE,
    check_writable,
    command,
    dry_run_option,
    naming,
    read_file,
    write_file,
)
from appliance.cli.group import Verbs
from appliance.cli.output import emit, say, table
from appliance.cli.this_node import this_node
from appliance.clock import SKEW_SECONDS_MAX, SystemClock, utc_text
from appliance.errors import ApplianceError, NotFound, Refused, UsageError
from appliance.node.acts import accept_act, load_acts
from appliance.node.handle import Node
from appliance.trust.act import ACTS, ANY_SERVICE, TAKEN_BACK, Act, act_line, check_operator, claim, make_act, read_act
from appliance.trust.bundle import Bundle
from appliance.trust.generation import GENERATION_NAME
from appliance.trust.in_force import in_force, takes_back
from appliance.units import DAY, as_typed, format_bytes, format_count, parse_bytes, printable

OF_NO_USE_LATER = ("lost", "quarantine", "quota", "promote", "rewind")


@click.group(cls=Verbs)
def act() -> None:
    """Sign, accept and list acts of operators: a node is lost, a service is on hold, a freeze ends. Each has a reason
    and an end."""


@act.command()
@click.argument("what", metavar="ACT", type=click.Choice(ACTS))
@click.argument("subject", type=NAME_TYPE)
@click.option("--service", type=NAME_TYPE, default=ANY_SERVICE, show_default=True, help="Only for this service.")
@click.option(
    "--generation",
    metavar="NAME",
    default="",
    help="For `continue`, and `promote` of one --service: the full name of the generation that goes on, as `vault "
    "show` prints it.",
)
@click.option(
    "--bytes", "size", metavar="SIZE", default="", help="For `quota`: the space that may be filled, such as 300G."
)
@click.option(
    "--per-day",
    metavar="SIZE",
    default="",
    help="For `quota`: the bytes accepted in a day, such as 40G, after an outage or a large change.",
)
@click.option(
    "--takes-back",
    "taken_back",
    metavar="FILE",
    multiple=True,
    type=FILE_TYPE,
    help="For `quarantine` and `lost` with --days 0, on a machine that is not a node: the act to end; may be repeated.",
)
@click.option("--reason", required=True, help="The reason; the act and the journals of nodes that keep it contain it.")
@click.option(
    "--days",
    type=click.IntRange(0, 366),
    default=14,
    show_default=True,
    help="How long it is in force; with 0, `quarantine` and `lost` end the earlier ones of that node that are stored "
    "here.",
)
@click.option("--operator", required=True, type=NAME_TYPE, help="The signing operator, as named in territory.yml.")
@click.option(
    "--key", required=True, metavar="FILE", type=FILE_TYPE, help="The operator's SSH key; hardware keys work."
)
@click.option("--out", required=True, metavar="FILE", type=FILE_TYPE, help="Where to write the signed act.")
@dry_run_option
def sign(
    what: str,
    subject: str,
    service: str,
    generation: str,
    size: str,
    per_day: str,
    taken_back: tuple[Path, ...],
    reason: str,
    days: int,
    operator: str,
    key: Path,
    out: Path,
    dry_run: bool,
) -> None:
    """Sign the act ACT about SUBJECT, a node or a service: for example `act sign lost commune-a`.

    It works on any machine; each node that obeys checks that this operator may sign this act. Names are checked where
    the --state of a node is given.
    """
    details = {**_named(what, generation), **_raised(what, size, per_day)}
    if (days == 0 or taken_back) and (days or what not in TAKEN_BACK):
        kinds = " and ".join(f"`{it}`" for it in TAKEN_BACK)
        raise UsageError(f"--days 0 and --takes-back are for {kinds} only, which then end earlier ones.")
    check_writable(out)
    if not key.is_file():
        raise NotFound("there is no such key.", where=str(key))
    if bundle := _bundle_at_hand():
        check_operator(bundle.operators, operator, what)
        subject, service = bundle.first_name(subject), bundle.first_name(service)
        _check_names(bundle, what, subject, service)
    now = SystemClock().now()
    fields: dict[str, str | int] = {
        "act": what,
        "subject": subject,
        "service": service,
        "operator": operator,
        "reason": reason,
        "start": utc_text(now),
        "end": utc_text(now + days * DAY),
        **details,
        **(_taken_back(what, subject, service, taken_back, now) if days == 0 else {}),
    }
    if dry_run:
        act_line(fields)
    else:
        write_file(out, make_act(fields, key))
    emit(
        {**fields, "out": str(out), "written": not dry_run},
        f'{operator} {"would sign" if dry_run else "signs"} "{what}" of {subject} until {fields["end"]}: {out}',
    )
    if not dry_run:
        say(_next(what, subject, service, str(out)))


def _next(what: str, subject: str, service: str, out: str) -> str:
    match what:
        case "promote":
            of = "SERVICE" if service == ANY_SERVICE else service
            return f"Next, at {subject}: {as_typed('appliance', 'failover', 'promote', of, '--act', out)}"
        case "quarantine":
            typed = as_typed("appliance", "failover", "quarantine", subject, "--act", out)
            return f"Next, at any other node: {typed}"
    return f"Next, on every node that must obey: {as_typed('appliance', 'act', 'accept', out)}"


@act.command()
@click.argument("file", metavar="FILE", type=FILE_TYPE)
@dry_run_option
def accept(file: Path, dry_run: bool) -> None:
    """Check a signed act and store it here, where the agent and the vault obey it while it is in force."""
    node = this_node()
    raw = read_file(file)
    with naming(file, "an act"):
        found = read_act(raw, node.bundle.operators)
    _check_names(node.bundle, found.act, found.subject, found.service)
    now = node.clock.now()
    check_useful(node, found, now)
    if not dry_run:
        accept_act(node, raw)
    emit(_json(found, found.in_force(now)), _sentence(found, now))
    if not dry_run:
        say(f"Next: {command('act', 'list')}")


def check_useful(node: Node, found: Act, now: float) -> None:
    """Raise Refused for an act that nothing would obey: it came too late, or its node is back. Of the other kinds some
    effects outlast their end."""
    if takes_back(found):
        return
    if found.act in OF_NO_USE_LATER and found.end <= now:
        again = f"{command('act', 'sign', found.act, found.subject)} {typed.BY_OPERATOR}"
        remedy = f"If it is still right, sign it again: {again}"
        raise Refused(f'this act "{found.act}" of {found.subject} ended on {utc_text(found.end)}.', remedy=remedy)
    concerned = [it for it in node.bundle.territory.services if found.service in (ANY_SERVICE, it)]
    heard = max((heard_times(node, it).get(found.subject, 0.0) for it in concerned), default=0.0)
    if found.act == "lost" and heard > found.start + SKEW_SECONDS_MAX:
        what = f"{found.subject} is not lost: it answered {node.name} on {utc_text(heard)}, after this act was signed."
        raise Refused(what, remedy="If it was lost since, sign the act again.")


@act.command("list")
def list_() -> None:
    """List the acts stored here, and whether each is in force."""
    node = this_node()
    now = node.clock.now()
    found = load_acts(node.layout.acts, node.bundle)
    obeyed = in_force(found, now)
    rows = [
        (
            it.act,
            it.subject,
            it.service,
            it.operator,
            utc_text(it.end),
            "yes" if it in obeyed else "no",
            _reason(it),
        )
        for it in found
    ]
    headings = ("ACT", "SUBJECT", "SERVICE", "OPERATOR", "UNTIL", "IN FORCE", "REASON")
    emit({"acts": [_json(it, it in obeyed) for it in found]}, table(headings, rows))


def _bundle_at_hand() -> Bundle | None:
    """The bundle of the node of --state; None away from any node, where the person who accepts an act has to check
    it."""
    try:
        return this_node().bundle
    except (ApplianceError, OSError):
        return None


def _named(what: str, generation: str) -> dict[str, str | int]:
    """The generation that an act names; raise UsageError when it lacks one or must not have one."""
    named = what == "continue" or (what == "promote" and generation)
    if bool(generation) != bool(named) or (generation and not GENERATION_NAME.fullmatch(generation)):
        raise UsageError(
            "`continue` needs the full name of a generation (00002.0000000007.0123456789abcdef), `promote` may have "
            "one, other acts must not.",
            remedy=f"Type: {command('vault', 'show', 'SERVICE')}",
        )
    return {"generation": generation} if generation else {}


def _raised(what: str, size: str, per_day: str) -> dict[str, str | int]:
    """Return what an act `quota` raises; raise UsageError when it raises nothing, or another act something."""
    if bool(size or per_day) != (what == "quota"):
        raise UsageError("`quota`, and no other act, needs an amount, such as --bytes 300G, --per-day 40G or both.")
    return {name: parse_bytes(text) for name, text in (("bytes", size), ("daily", per_day)) if text}


def _taken_back(what: str, subject: str, service: str, files: tuple[Path, ...], now: float) -> dict[str, str | int]:
    """The acts `what` that one of `subject` takes back: those in `files`, and those kept at the node at hand."""
    found = [_claimed(file) for file in files]
    if _bundle_at_hand():
        node = this_node()
        found += [it for it in load_acts(node.layout.acts, node.bundle, what) if it.end > now]
    ended = [it for it in found if it.act == what and it.subject == subject and service in (ANY_SERVICE, it.service)]
    if not ended or (files and len(ended) < len(files)):
        raise UsageError(
            f"`{what}` with --days 0 names the acts of {subject} that it ends, and none is stored here.",
            remedy="Sign it at a node that stores them (`appliance act list`), or name their files: --takes-back FILE.",
        )
    return {"takes_back": " ".join(sorted({it.document.line_digest for it in ended}))}


def _claimed(file: Path) -> Act:
    with naming(file, "an act"):
        return claim(read_file(file))


def _check_names(bundle: Bundle, what: str, subject: str, service: str) -> None:
    """Raise NotFound, with the known names, for an act of which nothing would follow."""
    nodes = sorted(bundle.territory.nodes)
    services = sorted({*bundle.territory.services, *bundle.former.services})  # what left can be held and frozen, too
    if subject not in (*nodes, *services):
        known = f"Nodes: {', '.join(nodes)}. Services: {', '.join(services)}."
        raise NotFound(f'"{subject}" is neither a node nor a service of {bundle.territory.name}.', remedy=known)
    if what == "continue" and subject not in services:
        raise NotFound("`continue` is for services only.", remedy=f"Services: {', '.join(services)}.")
    if what == "rewind" and subject not in services:
        raise NotFound("`rewind` is for services only.", remedy=f"Services: {', '.join(services)}.")
    if what == "quarantine" and subject not in nodes:
        raise NotFound("`quarantine` is for nodes only.", remedy=f"Nodes: {', '.join(nodes)}.")
    if service != ANY_SERVICE:
        bundle.last_terms(service)


def _json(found: Act, obeyed: bool) -> dict[str, Any]:
    return {
        "act": found.act,
        "subject": found.subject,
        "service": found.service,
        "operator": found.operator,
        "reason": found.reason,
        "start": utc_text(found.start),
        "end": utc_text(found.end),
        "in_force": obeyed,
        **({"generation": found.generation} if found.generation else {}),
        **({"bytes": found.quota_bytes} if found.quota_bytes else {}),
        **({"daily": found.daily_bytes} if found.daily_bytes else {}),
        **({"takes_back": sorted(found.taken_back)} if found.taken_back else {}),
    }


def _sentence(found: Act, now: float) -> str:
    if takes_back(found):
        return f"{found.operator} ends {taken_back_text(found)}: {_reason(found)}"
    state = "in force" if found.in_force(now) else "NOT in force now"
    narrowed = "" if found.service == ANY_SERVICE else f" for {found.service}"
    narrowed += f" with generation {found.generation}" if found.generation else ""
    narrowed += f" of {format_bytes(found.quota_bytes)}" if found.quota_bytes else ""
    narrowed += f" of {format_bytes(found.daily_bytes)} in a day" if found.daily_bytes else ""
    return (
        f'{found.operator} says "{found.act}" of {found.subject}{narrowed}, {state} until {utc_text(found.end)}: '
        f"{_reason(found)}"
    )


def taken_back_text(found: Act) -> str:
    count = len(found.taken_back)
    if found.act == "quarantine":
        return f"{format_count(count, 'quarantine') if count else 'each earlier quarantine'} of {found.subject}"
    return f"{format_count(count, 'act')} `{found.act}` of {found.subject}"


def _reason(found: Act) -> str:
    return printable(found.reason)
