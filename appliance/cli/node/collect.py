"""`appliance node collect`: the public keys of nodes, brought to the control machine to be signed."""

from __future__ import annotations

import json
from pathlib import Path

import click

from appliance.cli.arguments import FILE_TYPE, NAME_TYPE, dry_run_option, identity_option
from appliance.cli.output import emit, say, table
from appliance.clock import SystemClock, utc_text
from appliance.config.collected import DATE, read_collected
from appliance.errors import OK, WARNINGS, ApplianceError
from appliance.host.files import write_atomic
from appliance.host.network import known_hosts
from appliance.units import as_typed

# Other nodes log in at a node as vault-NAME.
ASK = "appliance internal node keys --user vault-"
FOLDER = "keys"


@click.command()
@click.argument("names", metavar="[NODE...]", type=NAME_TYPE, nargs=-1)
@click.option(
    "--territory", "folder", metavar="DIR", default=".", type=FILE_TYPE, help="The folder of territory.yml and keys/."
)
@identity_option
@dry_run_option
def collect(names: tuple[str, ...], folder: Path, identity: Path | None, dry_run: bool) -> int:
    """Collect the public keys of the nodes, by default all, into DIR/keys.

    Only a machine whose host key was recorded by `node trust-host-key` is asked. Exits with 1 when one did not answer;
    the keys of the others are kept. With --dry-run none is asked.
    """
    # Only control machines have fabric, and nodes need not pay for reading a territory.yml in every `node` verb.
    from appliance.config.load import load, territory_file
    from appliance.config.machines import machines_of
    from appliance.host.network.fleet import ask_all

    territory, control = load(folder), territory_file(folder).parent
    met = known_hosts.read(control / known_hosts.FILE_NAME)
    wanted = [territory.node(name) for name in names] or territory.nodes.values()
    machines = machines_of(territory, wanted, met)
    if dry_run:
        asked = {it.name: it.place for it in machines if it.host_key}
        return _rehearse(asked, [it.name for it in machines if not it.host_key], control / FOLDER)
    answers = ask_all(machines, ASK, identity=identity)
    kept = {name: _keep(control / FOLDER, name, answer) for name, answer in answers.items()}
    failed = {name: str(error) for name, error in kept.items() if isinstance(error, ApplianceError)}
    files = {name: str(file) for name, file in kept.items() if name not in failed}
    rows = [(name, failed.get(name) or files[name]) for name in kept]
    emit({"collected": files, "failed": failed}, table(("NODE", "KEYS"), rows))
    if files:
        words = [word for file in files.values() for word in ("--keys", file)]
        sign = as_typed("appliance", "territory", "sign", str(folder), *words)
        say(f"Next, the key holder: {sign} --key territory --out bundle")
    return WARNINGS if failed else OK


def _rehearse(asked: dict[str, str], unmet: list[str], folder: Path) -> int:
    """Say who would be asked, and where, and what the answers would be kept in."""
    rows = [(name, f"{place} would be asked for {folder / name}.json") for name, place in asked.items()]
    rows += [(name, "has no recorded host key") for name in unmet]
    emit({"would_ask": asked, "never_met": unmet, "dry_run": True}, table(("NODE", "KEYS"), rows))
    return WARNINGS if unmet else OK


def _keep(folder: Path, name: str, answer: bytes | ApplianceError) -> Path | ApplianceError:
    """Write what the node `name` answered, when these are its keys."""
    if isinstance(answer, ApplianceError):
        return answer
    try:
        shown = read_collected(answer, name=name)
    except ApplianceError as error:
        return error
    if list(shown) != [name]:
        return ApplianceError(f"the machine there identifies itself as {', '.join(shown)}.")
    folder.mkdir(exist_ok=True)
    file = folder / f"{name}.json"
    # Our own moment, not the node's: what it showed is as old as that, whatever its clock says.
    write_atomic(file, json.dumps({**json.loads(answer), DATE: utc_text(SystemClock().now())}).encode())
    return file
