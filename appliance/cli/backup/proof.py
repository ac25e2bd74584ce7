"""`appliance backup verify`, `drill` and `repair`: prove that a service can be restored, and repair what rotted."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click

from appliance.backup.proofs.drill import Planned, planned
from appliance.backup.proofs.drill import drill as run_drill
from appliance.backup.proofs.proofs import Damaged, Drilled, load_proofs
from appliance.backup.proofs.verify import HOSTILE, Verified, verify_data
from appliance.backup.writer import repair as repairing
from appliance.cli.arguments import command, dry_run_option, service_argument
from appliance.cli.output import emit, progress, say
from appliance.cli.renamed import RenamedOption
from appliance.cli.this_node import this_node
from appliance.errors import WARNINGS, IntegrityError
from appliance.failover.forms.database_work import rehearse
from appliance.units import format_bytes, format_count, format_duration, printable


@click.command()
@service_argument
@click.option(
    "--daily-slice",
    cls=RenamedOption,
    formerly="--share",
    is_flag=True,
    help="Only a daily slice, as the agent reads it; the next call continues from there.",
)
def verify(service: str, daily_slice: bool) -> int | None:
    """Decrypt and check every version of every file of SERVICE, on its origin or a standby; nothing is written.

    Exits with 5 and names the files when some could not be read.
    """
    with progress(f"Verifying {service}") as advance:
        done = verify_data(this_node(), service, bytes_max=None if daily_slice else float("inf"), on_slice=advance)
    emit(_verified_json(done), _verified_text(done))
    if done.damaged:
        if all(it.reason == HOSTILE for it in done.damaged):
            older = command("restore", "all", "--service", service, "--from", "generation:NUMBER", "--to", "DIR")
            say(f"Next, to see older generations: {command('vault', 'show', service)}. To bring one back: {older}")
            return IntegrityError.exit_code
        say(f"Next, to see whether the copy here has rotted: {command('vault', 'scrub', service)}")
        say("If it has not, the damage was sealed; every peer holds older generations (`restore versions`).")
        return IntegrityError.exit_code
    if not done.finished:
        say(f"Next, to continue: {command('backup', 'verify', service)}")
    return None


@click.command()
@service_argument
@click.option("--seed", type=click.IntRange(min=0), help="The seed of the sample; by default it is the day.")
@click.option(
    "--all/--sample", "everything", default=None, help="By default a sample, and every four weeks everything."
)
@dry_run_option
def drill(service: str, seed: int | None, everything: bool | None, dry_run: bool) -> int | None:
    """Restore files of SERVICE on its origin or a standby, compare them with what was saved and delete them again.

    Exits with 5 when a file was not restored as it was saved, with 1 when a file could not be compared.
    """
    if dry_run:
        found = planned(this_node(), service, seed=seed, everything=everything)
        emit({"service": service, **asdict(found)}, _planned_text(found))
        return None
    node = this_node()
    done = run_drill(node, service, rehearse, seed=seed, everything=everything)
    emit({"service": service, **asdict(done)}, _drilled_text(done))
    if not done.rehearsed and (loaded := load_proofs(node.service(service)).rehearsed):
        say(f"Last loaded into a PostgreSQL: {loaded.time}. At once: {command('backup', 'drill', service, '--all')}")
    say(f"The same again: {command('backup', 'drill', service, '--seed', str(done.seed))}")
    if done.wrong:
        return IntegrityError.exit_code
    return WARNINGS if done.told else None


@click.command()
@service_argument
@dry_run_option
def repair(service: str, dry_run: bool) -> int | None:
    """Replace corrupt files in this node's own repository of SERVICE by copies from its peers, checked by their hash.

    Exits with 5 while a file is still corrupt.
    """
    node = this_node()
    if dry_run:
        files, corrupt = repairing.find_corrupt(node, service)
        names = [entry.path for entry in corrupt]
        emit(
            {"service": service, "files": files, "rotten": names},
            f"Corrupt: {len(names)} of {format_count(files, 'file')}.",
        )
        return IntegrityError.exit_code if names else None
    done = repairing.repair(node, service)
    lines = [
        f"{service}: {format_count(done.files, 'file')} read, {len(done.mended)} repaired, {len(done.left)} still "
        "corrupt."
    ]
    lines += [f"  {peer} did not help: {why}" for peer, why in done.failed.items()]
    emit(asdict(done), "\n".join(lines))
    if done.left:
        say(f"Next, when another peer answers: {command('backup', 'repair', service)}")
        return IntegrityError.exit_code
    say(f"Next: {command('backup', 'run', service)}")
    return None


def _verified_json(done: Verified) -> dict[str, Any]:
    return asdict(done)


def _verified_text(done: Verified) -> str:
    read = f"{format_count(done.files, 'version')}, {format_bytes(done.bytes)}, in {format_duration(done.seconds)}"
    state = "everything was read" if done.finished else "the round is not finished"
    lines = [f"{done.service}, generation {done.generation}: {read}; {state}."]
    if not done.damaged:
        return "\n".join((*lines, "Nothing is damaged."))
    return "\n".join(
        (*lines, f"Damaged, {format_count(len(done.damaged), 'place')} at least:", *map(_damaged_text, done.damaged))
    )


def _damaged_text(found: Damaged) -> str:
    place = f"{printable(found.path)} in {found.archive}" if found.path else found.archive or "the archives"
    return f"  {place}: {found.reason}"


def _planned_text(found: Planned) -> str:
    what = f"{format_count(found.files, 'file')}, {format_bytes(found.bytes)}, would be restored and deleted again."
    return "\n".join((f"Generation {found.generation}, {_share(found)}, seed {found.seed}: {what}", *found.told))


def _share(it: Planned | Drilled) -> str:
    return "everything" if it.everything else f"a sample of {format_bytes(it.total_bytes)}"


def _drilled_text(done: Drilled) -> str:
    took = f"{format_count(done.files, 'file')}, {format_bytes(done.bytes)}, in {format_duration(done.seconds)}"
    lines = [f"Generation {done.generation}, {_share(done)}, seed {done.seed}: {took}."]
    if done.rehearsed:
        found = f"{format_count(done.tables, 'table')}, {format_count(done.rows, 'row')}"
        lines.append(f"Loaded into a PostgreSQL: {found}.")
    lines += [f"Wrong, {len(done.wrong)}:", *(f"  {printable(it)}" for it in done.wrong)] if done.wrong else []
    lines += ["Not proven:", *(f"  {printable(it)}" for it in done.told)] if done.told else []
    return "\n".join(lines if done.wrong or done.told else [*lines, "Every file was restored as it was saved."])
