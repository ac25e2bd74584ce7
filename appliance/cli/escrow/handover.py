"""`appliance escrow export-keys` and `import-keys`: the keys of a lost machine's services for its replacement."""

from __future__ import annotations

import base64
import binascii
import json
from pathlib import Path

import click

from appliance.backup.peers.openable import is_written_here
from appliance.backup.writer.begin import history
from appliance.cli.arguments import FILE_TYPE, NAME_TYPE, command, dry_run_option, read_file
from appliance.cli.output import emit, say
from appliance.cli.renamed import RenamedOption
from appliance.cli.this_node import this_node, typed_paper
from appliance.errors import WARNINGS, IntegrityError, NotFound, UsageError
from appliance.membership import key_export
from appliance.node.handle import Node


@click.command()
@click.argument("node", metavar="NODE", type=NAME_TYPE)
def export_keys(node: str) -> int | None:
    """Encrypt the keys of NODE's services that this standby may open, for the new machine named NODE.

    The result, one JSON object, is encrypted and may be sent in any way. Exits with 1 when a service could not be
    opened.
    """
    envelopes, failed = key_export.export_keys(this_node(), node)
    if not envelopes and not failed:
        raise NotFound(f"this node is a standby of no service of {node}.", remedy="See `appliance territory show`.")
    for service, error in failed.items():
        say(f"{service}: {error}")
    shown = {name: base64.b64encode(raw).decode() for name, raw in envelopes.items()}
    click.echo(json.dumps({"node": node, "envelopes": shown, "failed": sorted(failed)}))
    say(f"Next, on {node}: {command('escrow', 'import-keys', 'FILE')}")
    return WARNINGS if failed else None


@click.command()
@click.argument("file", metavar="[FILE]", type=FILE_TYPE, required=False)
@click.option(
    "--recovery-sheet",
    "paper",
    cls=RenamedOption,
    formerly="--paper",
    is_flag=True,
    help="Use the recovery key instead of a file; it is typed without echo.",
)
@dry_run_option
def import_keys(file: Path | None, paper: bool, dry_run: bool) -> None:
    """Import what `escrow export-keys` made for this node, so that it opens and continues its services without the
    recovery sheet.

    With --recovery-sheet, the newest generation of each of its services is fetched and opened once with the recovery
    key.
    """
    node = this_node()
    if (file is None) != paper:
        raise UsageError(
            "neither a file nor --recovery-sheet was given.",
            remedy="Give the FILE of `escrow export-keys`, or --recovery-sheet.",
        )
    if file is None:
        names = _lacking(node)
        if not dry_run:
            for name in names:
                key_export.import_by_sheet(node, name, typed_paper())
    else:
        handed = _read(file)
        names = tuple(sorted(handed)) if dry_run else key_export.import_keys(node, handed)
    emit(
        {"node": node.name, "taken": list(names), "written": not dry_run},
        f"{node.name} {'would open' if dry_run else 'can open'}: {', '.join(names) or 'nothing more'}.",
    )
    if not dry_run:
        say(f"Next: {command('restore', 'node', '--in-place', '--once')}")


def _lacking(node: Node) -> tuple[str, ...]:
    """The services of this node that it does not write and has no envelope for, though peers hold them."""
    own = (service.name for service in node.bundle.territory.services_of(node.name))
    here = (name for name in own if not is_written_here(node, name) and not node.service(name).handed.exists())
    return tuple(name for name in here if history(node, name))


def _read(file: Path) -> dict[str, bytes]:
    try:
        handed = json.loads(read_file(file))["envelopes"]
        return {str(service): base64.b64decode(text, validate=True) for service, text in handed.items()}
    except (ValueError, KeyError, TypeError, AttributeError, binascii.Error) as error:
        remedy = "It must be what `escrow export-keys` printed; make it again."
        raise IntegrityError("this file contains no envelopes.", where=str(file), remedy=remedy) from error
