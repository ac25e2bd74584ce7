"""`appliance restore node`: everything of a machine that was replaced, the accounts of its people first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import click

from appliance.backup.peers.elsewhere import installs_its_files
from appliance.borg.errors import PathMissing
from appliance.cli.arguments import command, dry_run_option
from appliance.cli.output import emit, say
from appliance.cli.restore.bring import (
    Brought,
    Wanted,
    begun,
    bring,
    check_place,
    newest,
    place_options,
    words_of_place,
)
from appliance.cli.restore.options import paper_option, source_option, typed_source
from appliance.cli.restore.source import open_source
from appliance.cli.this_node import this_node
from appliance.errors import WARNINGS, ApplianceError, NotFound
from appliance.node.handle import Node
from appliance.restore.job import Typed, jobs
from appliance.restore.unended import asked_for
from appliance.territory.implicit import is_implicit
from appliance.territory.model import Service


@dataclass(frozen=True)
class Aim:
    """Where to, and from where."""

    node: Node
    to: Path | None
    force: bool
    source: str
    paper: bool
    dry_run: bool


@dataclass
class Told:
    """The result for each service."""

    done: dict[str, Brought] = field(default_factory=dict)
    failed: dict[str, ApplianceError] = field(default_factory=dict)
    before: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    """Left to failover, which puts their files in place once this node was granted them."""


@click.command("node")
@place_options
@click.option("--once", is_flag=True, help="Skip services that this machine already restored in place.")
@click.option(
    "--people",
    is_flag=True,
    help="Only the accounts of its people; run `internal account sync` after it, then restore the rest.",
)
@source_option
@paper_option
@dry_run_option
def node(
    to: Path | None,
    in_place: bool,
    force: bool,
    once: bool,
    people: bool,
    source: str,
    paper: bool,
    dry_run: bool,
) -> int | None:
    """Restore every service of which this node is the origin, one after another, on a replaced machine.

    With --to, each service gets its own folder there. In place, the accounts of its people come first. A database is
    not loaded: `restore all` restores its dump, and the output prints that command. Services that failover serves are
    left to failover, which installs the newest files before it serves them. A service that cannot be opened does not
    stop the others. After an interruption, repeat the command to continue.
    """
    check_place(to, in_place)
    aim = Aim(this_node(), to, force, source, paper, dry_run)
    services = _services(aim.node, in_place=in_place)
    if all(map(is_implicit, services)):
        raise NotFound(f"{aim.node.name} is the origin of no service.", remedy="Restore one with `restore all`.")
    left = [it.name for it in services if in_place and installs_its_files(aim.node, it.name)]
    dumps = [it.name for it in services if in_place and it.kind == "postgresql" and it.name not in left]
    told = Told(left=left)
    for service in filter(is_implicit, services) if people else services:
        if service.name in (*dumps, *left):
            continue
        paths = _paths(aim.node, service)
        if once and in_place and _is_back(aim.node.service(service.name).restores, paths):
            told.before.append(service.name)
        else:
            _bring_back(aim, service, paths, told)
    _tell(told, dumps, typed_source(source, paper=paper))
    if told.failed:
        return list(told.failed.values())[-1].exit_code
    return WARNINGS if dumps or any(it.code for it in told.done.values()) else None


def _services(node: Node, *, in_place: bool) -> list[Service]:
    """Those that begin here; in place the node's own before the others, since it has the owners of their files."""
    own = sorted(node.bundle.territory.services_of(node.name), key=lambda it: (not is_implicit(it), it.name))
    return [it for it in own if in_place or not is_implicit(it)]


def _paths(node: Node, service: Service) -> tuple[str, ...]:
    """Return the paths of `service` that come back: of a node's own the accounts only; its identity was made on this
    machine."""
    return (str(node.layout.accounts).lstrip("/"),) if is_implicit(service) else ()


def _bring_back(aim: Aim, service: Service, paths: Sequence[str], told: Told) -> None:
    name = service.name
    try:
        opened = open_source(aim.node, name, aim.source, paper=aim.paper)
        to, path = aim.to and aim.to / name, "".join(paths)
        place = (*words_of_place(aim.to), *typed_source(aim.source, paper=aim.paper))
        typed = Typed(asked_for(path), ("restore", "node", *place))
        cut = begun(aim.node, name, typed.asked, to)
        wanted = Wanted(cut.archive if cut else newest(aim.node, name, opened), path, typed=typed, force=aim.force)
        told.done[name] = bring(aim.node, name, opened, wanted, to=to, dry_run=aim.dry_run, paper=aim.paper)
    except (NotFound, PathMissing) as error:
        # A town hall without accounts, or one whose own service never ran, has nothing to bring.
        if not is_implicit(service):
            told.failed[name] = error
    except ApplianceError as error:
        told.failed[name] = error


def _is_back(restores: Path, paths: Sequence[str]) -> bool:
    """Whether `paths` of a service were brought back in place here, and that was not undone."""
    return any(it.in_place and it.paths == tuple(paths) and it.state == "done" for it in jobs(restores))


def _tell(told: Told, dumps: Sequence[str], source: Sequence[str]) -> None:
    sentences = {name: str(error) for name, error in told.failed.items()}
    lines = [f"{name}: {it.text}" for name, it in told.done.items()]
    lines += [f"{name} was already restored." for name in told.before]
    lines += [f"{name} is left to failover, which installs its newest files before it serves." for name in told.left]
    emit(
        {
            "services": {name: it.data for name, it in told.done.items()},
            "failed": sentences,
            "databases_left": list(dumps),
            "before": told.before,
            "left_to_failover": told.left,
        },
        "\n".join(lines) or "Nothing was restored.",
    )
    for name, sentence in sentences.items():
        say(f"{name}: {sentence}")
    for name in dumps:
        line = command("restore", "all", "--service", name, "--to", "DIR", *source)
        say(f"{name} is a database: restore its dump with {line}, then load it.")
