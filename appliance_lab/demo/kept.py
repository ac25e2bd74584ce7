"""A territory that a demo left up: how to play with it, how to end it, and why no other demo begins beside it.

Played by root, it lies in a folder of its own, to which a link in the demo's folder leads: all this works with both.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from pathlib import Path

from appliance.errors import UsageError
from appliance.escrow import paper_key
from appliance.host.files import write_atomic
from appliance.secret import Secret
from appliance_lab.checkout import code_folder
from appliance_lab.demo.context import ORIGIN, SERVICE, SPARE, DemoContext, remove_all
from appliance_lab.demo.documents import DOCUMENTS, TERRITORY
from appliance_lab.demo.pages import open_pages

PIDS = "pids"
NOTE = "how-to-play.txt"


def leave_up(context: DemoContext) -> None:
    """Let the territory live on, commune A with its agent and its pages; pids and what to type are kept."""
    origin = context.territory.nodes.get(ORIGIN)
    # The replacement is played by hand, with an sshd alone; a fresh node that only listens has no agent yet.
    if origin and len(origin.processes) == 1:
        origin.start_agent()
    pages = open_pages(context) if origin else []
    pids = (process.pid for node in context.territory.nodes.values() for process in node.processes)
    write_atomic(context.territory.root / PIDS, "".join(f"{pid}\n" for pid in pids).encode())
    note = "".join(f"{line}\n" for line in (*_words(context), *pages))
    write_atomic(context.territory.root / NOTE, note.encode(), mode=0o600)  # the demo's sheet of paper is in it


def show_paper(work: Path, paper: Secret) -> str:
    """The key on the paper, to practise recovery by hand with what the spare holds: for a terminal, nowhere else."""
    vault = work.absolute() / TERRITORY / "nodes" / SPARE / "vault" / SERVICE
    lines = "".join(f"  {line}\n" for line in paper_key.lines(paper))
    return (
        "To practise docs/recovery-by-hand.md with the disk of one town, begin its first step with:\n"
        f"  VAULT={shlex.quote(str(vault))} WORK=$HOME/recuperation\n"
        f"The key on the paper, shown here once and kept nowhere:\n{lines}"
    )


def link(work: Path, folder: Path) -> None:
    """Let `work` know the territory that lives on in the `folder` of another account."""
    remove_all(work / TERRITORY)
    (work / TERRITORY).symlink_to(folder / TERRITORY)


def is_kept(work: Path) -> bool:
    """Whether a territory was left up in `work`."""
    return (work / TERRITORY / NOTE).exists()


def how_to_play(work: Path) -> str:
    """Return what to type in the territory that was kept in `work`, and to end it; empty when there is none."""
    root = work.absolute() / TERRITORY
    try:
        words = (root / NOTE).read_text()
    except OSError:
        return ""
    checkout = code_folder() / "bin"
    path = f"  export PATH={shlex.quote(str(checkout))}:$PATH    # so that `appliance` is the one of this checkout\n"
    return (
        "The territory stays up. To play with it:\n"
        f"{path if (checkout / 'appliance').exists() else ''}{words}"
        f"To end it, and to remove what it left:\n  {_how_to_end(work, _pids(root))}\n"
    )


def check_nobody_plays(work: Path) -> None:
    """Raise UsageError while processes of a territory that was kept in `work` run: they would lose their ground."""
    root = (work / TERRITORY).resolve()
    running = [pid for pid in _pids(root) if os.fsencode(root) in _command_line(pid)]
    if running:
        what = "the territory of an earlier demo still runs here."
        remedy = f"End it first, and remove what it left: {_how_to_end(work, running)}"
        raise UsageError(what, where=str(root), remedy=remedy)


def _how_to_end(work: Path, pids: Sequence[str]) -> str:
    root = work.absolute() / TERRITORY
    # As far as root's own link says and no further: the files there belong to the account that plays.
    left = (root.readlink().parent, root) if root.is_symlink() else (root, *_documents(work))
    return f"kill {' '.join(pids)}; rm -rf {shlex.join(map(str, left))}"


def _words(context: DemoContext) -> list[str]:
    nodes = context.territory.nodes.items()
    lines = [f"{_at(context, name)} status    # {name}" for name, node in nodes if node.processes]
    lines += [
        f"{_at(context, ORIGIN)} backup run {SERVICE}",
        f"{_at(context, ORIGIN)} restore find budget --service {SERVICE}",
    ]
    down = [name for name, node in nodes if not node.processes]
    if down:
        lines.append(
            f"{' and '.join(down)} are down on purpose, as the last step left them: one copy of two is missing, so "
            '"1 of 2" and exit code 1 are right.'
        )
    return lines


def _at(context: DemoContext, node: str) -> str:
    return f"  appliance --state {shlex.quote(str(context.territory.root / 'nodes' / node))}"


def _documents(work: Path) -> tuple[Path, ...]:
    """Those that the demo made; never documents of the user's own."""
    made = work.absolute() / DOCUMENTS
    return (made,) if made.exists() else ()


def _pids(root: Path) -> list[str]:
    try:
        return (root / PIDS).read_text().split()
    except OSError:
        return []


def _command_line(pid: str) -> bytes:
    """Empty for a process that has ended; a pid may belong to somebody else by now, so the words have to tell."""
    try:
        return Path("/proc", pid, "cmdline").read_bytes()
    except OSError:
        return b""
