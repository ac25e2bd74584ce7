"""`appliance escrow create-key`, `verify` and `open`. Texts for a town hall are French first, English second."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import sys
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import click

from appliance.cli.arguments import read_file
from appliance.cli.options import options
from appliance.cli.output import emit, say
from appliance.clock import SystemClock, utc_text
from appliance.config.load import load, territory_file
from appliance.errors import NotFound, Refused, UsageError
from appliance.escrow import paper, paper_key
from appliance.escrow.age import RecoveryKey
from appliance.escrow.ceremony import Show, ceremony
from appliance.escrow.envelopes import ServiceKey, open_envelope, write_key
from appliance.escrow.keyboard import typed_key, wait_for_enter
from appliance.host.files import write_atomic
from appliance.secret import Secret
from appliance.trust.signed import fingerprint
from appliance.typed import SIGN_AGAIN

STANDARD_OUTPUT = "-"
PUBLIC_NAME = "recovery.pub"
RETEST_AFTER = timedelta(days=365)  # ANSSI asks for a test at least every year

path_type = click.Path(path_type=Path, readable=False)
envelope_option = click.option("--envelope", required=True, metavar="FILE", type=path_type, help="NAME.age.")
identity_option = click.option(
    "--identity-fd", type=int, metavar="N", help="Read the key from file descriptor N instead of the terminal."
)
repository_option = click.option(
    "--repository", default="", metavar="ID", help="Accept only the key of this territory."
)
dry_run_option = click.option("--dry-run", is_flag=True, help="Show what would be done; write nothing.")


@click.command()
@click.option(
    "--territory", "place", required=True, metavar="PLACE", type=path_type, help="territory.yml or its folder"
)
@click.option("--out", default=STANDARD_OUTPUT, metavar="FILE", help="paper.pdf, paper.txt or - (terminal, printer).")
@click.option("--public-out", metavar="FILE", type=path_type, help=f"By default {PUBLIC_NAME} beside territory.yml.")
@click.option(
    "--territory-key", metavar="FILE", type=path_type, help="The territory's public key, printed on the sheet too."
)
@click.option("--typed-back-fd", type=int, metavar="N", help="Read what is typed back from file descriptor N.")
@click.option("--replace", is_flag=True, help="Make a new key although the territory has one.")
@dry_run_option
def create_key(
    place: Path,
    out: str,
    public_out: Path | None,
    territory_key: Path | None,
    typed_back_fd: int | None,
    replace: bool,
    dry_run: bool,
) -> None:
    """Make the recovery key in memory, print it, have it typed back, test it, and keep only its public half."""
    if out == STANDARD_OUTPUT and options().json:
        raise UsageError("standard output is used for the sheet.", remedy="Name a file with --out to get JSON.")
    territory = load(place)
    public_file = public_out or territory_file(place).with_name(PUBLIC_NAME)
    signer = _public_key(territory_key) if territory_key else ""
    _check_outputs(public_file, out, replace=replace)
    if typed_back_fd is None and not dry_run and not sys.stdin.isatty():
        raise UsageError(
            "the key must be typed back on a terminal, and there is none.",
            remedy="Give --typed-back-fd 3 3< FILE instead.",
        )
    result = {"sheet": out, "public_file": str(public_file), "public": ""}
    if not dry_run:
        made = _today()

        def show(key: RecoveryKey) -> None:
            _print_sheet(paper.Sheet(territory.title, str(made), key, signer), out, interactive=typed_back_fd is None)

        result["public"] = _hold_ceremony(show, out, typed_back_fd)
        write_atomic(public_file, result["public"].encode() + b"\n")
    if out == STANDARD_OUTPUT:
        say(_exported(result))
    else:
        emit(result, _exported(result))


@click.command()
@envelope_option
@identity_option
@repository_option
def verify(envelope: Path, identity_fd: int | None, repository: str) -> None:
    """Test the recovery key with an envelope; nothing secret is printed or written."""
    key = _open(envelope, identity_fd, repository)
    today = _today()
    again = today + RETEST_AFTER
    result = {"envelope": str(envelope), "repository": key.repository, "tested": str(today), "test_again": str(again)}
    words = (
        f"Clé testée le {today} : elle ouvre {envelope}. Notez-le sur la feuille ; à retester avant le {again}.\n"
        f"Key tested on {today}: it opens {envelope}. Note it on the sheet; test it again before {again}."
    )
    emit(result, words)


@click.command("open")
@envelope_option
@click.option("--to", "folder", required=True, metavar="DIR", type=path_type, help="For keyfile and passphrase.")
@identity_option
@repository_option
@dry_run_option
def open_(envelope: Path, folder: Path, identity_fd: int | None, repository: str, dry_run: bool) -> None:
    """Open an envelope and write the borg keyfile and passphrase to a private folder, for recovery by hand."""
    key = _open(envelope, identity_fd, repository)
    if not dry_run:
        write_key(folder, key)
    result = {"envelope": str(envelope), "repository": key.repository, "folder": str(folder), "written": not dry_run}
    words = (
        f"L'enveloppe s'ouvre ; keyfile et passphrase vont dans {folder}. Effacez-les ensuite.\n"
        f"The envelope opens; keyfile and passphrase go to {folder}. Erase them afterwards: shred -u {folder}/*"
    )
    emit(result, words)


def _hold_ceremony(show: Show, out: str, typed_back_fd: int | None) -> str:
    # A crash must not write this process's memory, and the key with it, to a disk.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

    def ask(wrong: str) -> Secret:
        click.echo(wrong or "Tapez la clé du papier, sans écho. / Type the key from the paper, without echo.", err=True)
        return typed_key(typed_back_fd)

    try:
        with _ended_by_signals():
            return ceremony(show, ask)
    except BaseException:
        # This sheet will never open anything; it must not be taken for one that does.
        if out != STANDARD_OUTPUT:
            Path(out).unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def _ended_by_signals() -> Iterator[None]:
    """A terminal that is closed, or a `kill`, ends the command as an interrupt does: the sheet goes with it."""

    def end(number: int, frame: object) -> None:
        sys.exit(128 + number)

    before = {number: signal.signal(number, end) for number in (signal.SIGHUP, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _print_sheet(sheet: paper.Sheet, out: str, *, interactive: bool) -> None:
    """Put the sheet where the user asked: only there may the key leave this process."""
    if out != STANDARD_OUTPUT:
        write_atomic(Path(out), _rendered(sheet, Path(out)), mode=0o600)
        say(f"Imprimez {out} maintenant. / Print {out} now.")
        return
    terminal = sys.stdout.isatty()
    click.echo(paper.text(sheet, terminal=terminal))
    if terminal and interactive:
        # Typing back from the screen would prove nothing about the paper.
        wait_for_enter("Recopiez ou imprimez ; Entrée effacera l'écran. / Copy or print it; Enter clears the screen. ")
        click.echo("\x1b[H\x1b[2J\x1b[3J", nl=False)


def _rendered(sheet: paper.Sheet, out: Path) -> bytes:
    if out.suffix != ".pdf":
        return paper.text(sheet).encode()
    from appliance.escrow import paper_pdf  # 70 ms that no other command should pay

    return paper_pdf.render(sheet)


def _open(envelope: Path, identity_fd: int | None, repository: str) -> ServiceKey:
    return open_envelope(read_file(envelope), paper_key.read(typed_key(identity_fd)), repository=repository)


def _check_outputs(public_file: Path, out: str, *, replace: bool) -> None:
    if public_file.exists() and not replace:
        raise Refused(
            "the territory already has a recovery key, and a new key cannot open envelopes made for it.",
            where=str(public_file),
            remedy="Add --replace if its sheet is lost or somebody else saw it.",
        )
    if out != STANDARD_OUTPUT and Path(out).exists():
        remedy = f"Name a new file with --out; or, if its key was never typed back, erase it: shred -u {out}"
        raise Refused("this file may be the sheet of another key.", where=out, remedy=remedy)
    for folder in (public_file.parent, Path(out).parent):
        if not os.access(folder, os.W_OK, effective_ids=True):
            raise NotFound("this folder does not exist or cannot be written.", where=str(folder))


def _public_key(file: Path) -> str:
    """The type and the key of a public key file, without its comment."""
    try:
        line = " ".join(read_file(file).decode().split()[:2])
        fingerprint(line)
    except (ValueError, IndexError) as error:
        raise UsageError(
            "this is not an SSH public key.", where=str(file), remedy="It starts with ssh-ed25519."
        ) from error
    return line


def _exported(result: dict[str, str]) -> str:
    sheet, public_file = result["sheet"], result["public_file"]
    if not result["public"]:
        return (
            f"La clé irait sur {sheet}, sa moitié publique dans {public_file}.\n"
            f"The key would go to {sheet}, its public half to {public_file}."
        )
    erase = "" if sheet == STANDARD_OUTPUT else f"\nEffacez le fichier / Erase the file: shred -u {sheet}"
    return (
        f"La clé est prouvée ; seule sa moitié publique est gardée, dans {public_file}.{erase}\n"
        f"The key is proved; only its public half is kept, in {public_file}. Next: "
        f"{SIGN_AGAIN}"
    )


def _today() -> date:
    return date.fromisoformat(utc_text(SystemClock().now())[:10])
