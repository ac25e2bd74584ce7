"""The work of a takeover on copies, by workers: `python3 -m appliance.failover.takeover_worker PARENT STATE SERVICE`.

Nothing is decided here. Row `grace.take` or `waiting.promoted` of `fsm/waiting.py` decides that this node takes over,
and a majority of the voters' brokers must grant it (`voter/grant_rules.py: decide`).

borg, ssh and whole repositories are not for the program that renews leases: a worker may take minutes, hang or be cut,
and gives its memory back. Orders come as lines, {"verb", "word"}; each is answered by a line, one JSON object, and can
be done again. People who wait for a service feel each second, so a worker can be called before there is an order, and
its lines to peers stand from one to the next.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from importlib import import_module
from pathlib import Path
from typing import Any

from appliance.backup.chain.chain import chain_of
from appliance.backup.chain.grants import granters_of
from appliance.backup.chain.installed import is_used
from appliance.backup.chain.resync import continue_under, fetch_for_resync
from appliance.backup.peers.adopt import own_repository
from appliance.backup.peers.conversation import Conversation, Lines
from appliance.backup.peers.fetched import load_fetched, remember_fetched
from appliance.backup.peers.fetched_key import staging
from appliance.backup.peers.last_seen import current_targets
from appliance.backup.peers.openable import is_written_here, key_of, newest_of
from appliance.backup.sources.model import Failure
from appliance.backup.vault.replicas import replica_of
from appliance.backup.vault.sealing.sealer_choice import sealer_of
from appliance.backup.writer.left_out_reasons import how_to_accept
from appliance.backup.writer.manifest import LeftOut
from appliance.borg.client import Borg
from appliance.borg.model import Repository
from appliance.errors import ApplianceError, NotFound, Refused, Unreachable
from appliance.failover.forms.known_forms import contents_of
from appliance.failover.warm_standby import completing, nothing, tree_of
from appliance.host.children import die_with_parent
from appliance.host.files import make_private_folder
from appliance.node.handle import Node, open_node
from appliance.restore.fill import Fill
from appliance.trust.grant import Grant
from appliance.units import printable

GRANTED = "granted"
NAMED_MAX = 3
"""The unsaved parts of a last backup that its sentence names."""
WAITS_SECONDS_MAX = 60.0
"""For an order: a worker that was called for a takeover that did not come ends."""


def granted(node: Node, service: str) -> Grant:
    """The grant that waits to be adopted; raise NotFound when there is none."""
    path = node.service(service).root / GRANTED
    try:
        raw = path.read_bytes()
    except FileNotFoundError as error:
        raise NotFound(f"there is no new grant of {service} here.", where=str(path)) from error
    return granters_of(node, service).keeping([raw]).read(raw)


def expect(node: Node, service: str, word: str, lines: Lines) -> dict[str, Any]:
    """Ask the nodes that will be asked once: a vault's first answer takes longest, and nobody waits for this one. The
    order that asks reports a node that does not answer. A last backup has the time to call its peers itself."""
    import_module(contents_of(node, service).loads)
    if is_written_here(node, service):
        import_module("appliance.backup.writer.writer")
        return {"answered": []}
    others = node.bundle.terms(service).others(node.name)
    called = tuple(dict.fromkeys((*others, *(it.node for it in current_targets(node, service)))))
    answers, _ = lines.ask_all(called, lambda conversation: conversation.head(service))
    return {"answered": sorted(answers)}


def present(node: Node, service: str, word: str, lines: Lines) -> dict[str, Any]:
    """Show the newest grant of ours to all who store the service; who took it, and a newer one that somebody has."""
    grant = _newest_own(node, service)
    asked = tuple(it.node for it in current_targets(node, service))
    with ThreadPoolExecutor(1) as beside:
        kept = beside.submit(_keep, node, service, grant)
        known, silent = lines.ask_all(asked, lambda conversation: _show(conversation, service, grant))
        kept.result()
    newer = max(known.values(), default=0)
    if not known:
        refusals = " ".join(f"{peer}: {it.what}" for peer, it in silent.items())
        raise Unreachable(f"no peer that stores {service} accepted its grant: {refusals or 'no peer was asked'}.")
    return {"accepted": [] if newer else list(known), "newer": newer}


def _keep(node: Node, service: str, grant: Grant) -> None:
    """Have this node's own vault refuse the former writer too."""
    if replica_of(node, service).grants.exists():
        sealer_of(node).keep(service, [grant])


def _newest_own(node: Node, service: str) -> Grant:
    """The grant that waits, or the one that was adopted last, when that is newer."""
    newest = chain_of(node, service).newest_grant()
    try:
        waiting = granted(node, service)
    except NotFound:
        waiting = None
    found = max((it for it in (newest, waiting) if it), key=lambda it: it.epoch, default=None)
    if found is None or found.writer != node.name:
        raise Refused(f"no grant of {service} here is for this node.")
    return found


def _show(conversation: Conversation, service: str, grant: Grant) -> int:
    """Have one vault keep `grant`; the epoch of a newer one that it has, 0 when its next head shows ours. Raise Refused
    when it does not: that vault would go on taking what the former writer brings."""
    head = conversation.head(service)
    known = max((it.epoch for it in head.grants), default=0)
    if known > grant.epoch:
        return known
    if known < grant.epoch:
        raws = [it.document.raw.decode() for it in (*head.grants, grant)]
        headers = [it.document.raw.decode() for it in head.tips[-1:]]  # a former version takes no grant without one
        conversation.ask("put", service, grants=raws, headers=headers, list_bytes=0, acknowledge=True)
        conversation.channel.read_frame()
        head = conversation.head(service)
    if not any(it.statement == grant.statement for it in head.grants):
        raise Refused(f"{head.peer} does not show the grant of epoch {grant.epoch} of {service} that was sent to it.")
    return 0


def adopt(node: Node, service: str, word: str, lines: Lines) -> dict[str, Any]:
    """Continue the repository under the grant that waits, and put its newest archive in place.

    `word` is JSON: `keep`, whether the files here stay; `generation`, the one to go on from, which need not be the
    newest; `required`, as of `fetch_newest`. The former files are kept beside. Until all is done no backup is made: it
    would save what is not the service yet.
    """
    asked = json.loads(word)
    layout, grant = node.service(service), _newest_own(node, service)
    make_private_folder(layout.root)
    layout.opening.touch()
    if not is_used(node, service, grant) and _waits(node, service, grant):
        _adopt(node, service, asked["generation"], asked["required"], lines)
    placed = [] if asked["keep"] else place(node, service, own_repository(layout))
    layout.opening.unlink()
    return {"placed": placed}


def _waits(node: Node, service: str, grant: Grant) -> bool:
    """Whether `grant` came to failover; `appliance backup resync` adopted one of the key holder before it counted."""
    try:
        return granted(node, service).epoch == grant.epoch
    except NotFound:
        return False


def _adopt(node: Node, service: str, generation: str, required: str, lines: Lines) -> None:
    raw = (node.service(service).root / GRANTED).read_bytes()
    try:
        sealed, _ = fetch_for_resync(node, service, generation or None, lines, required)
        lines.close()  # a vault has few session slots, and installing may take hours
        remember_fetched(node, service, sealed)
    except NotFound:
        if generation or required or not node.service(service).repository.exists():
            raise
        raise Refused(f"no node holds a generation of {service} to continue from.") from None
    key = key_of(node, service, staging(node, service), None)
    continue_under(node, service, load_fetched(node, service), raw, key)


def place(node: Node, service: str, repository: Repository) -> list[str]:
    """Lay the newest archive of `repository` where the service has its files; what was there is kept beside it."""
    borg, contents = Borg(repository), contents_of(node, service)
    newest = chain_of(node, service).newest()
    generation = newest.header.id.name if newest else ""
    ahead, choose = tree_of(node, service), lambda archives: newest_of(archives, service)
    known_whole = newest is not None and newest.header.document.format > 1 and newest.header.whole
    complete = nothing if known_whole else completing(service)  # a start of borg less while people wait

    def install() -> None:
        ahead.install_ahead(borg, choose, generation, complete, spare=False)

    contents.before_files(node, service, install)
    with ahead.taken(borg, choose, generation, complete) as (tree, filled):
        _tell_filled(node, service, filled)
        return contents.put_in_place(node, service, tree)


def _tell_filled(node: Node, service: str, filled: Collection[Fill]) -> None:
    if filled:
        archives = sorted({it.archive for it in filled})
        node.journal.write("taken-over-partial", service=service, filled=len(filled), archives=archives)


def pull(node: Node, service: str, word: str, lines: Lines) -> dict[str, Any]:
    """Fetch the newest generation beside what is here."""
    sealed, _ = fetch_for_resync(node, service, lines=lines)
    remember_fetched(node, service, sealed)
    return {"generation": str(sealed.header.id)}


def sync(node: Node, service: str, word: str, lines: Lines) -> dict[str, Any]:
    """Save and bring everything to the peers; who has it. `word`: the node that takes over, "" where any may."""
    from appliance.backup.writer.writer import run, safety_of

    contents_of(node, service).save_first(node, service, word)
    done = run(node, service)
    _check_whole(service, done.failures, done.left_out)
    has = [it.peer for it in done.pushed if it.receipt is not None]
    return {"generation": done.sealed.header.id.name, "has": has, "safe": str(safety_of(node, service))}


def _check_whole(service: str, failures: Sequence[Failure], left_out: Sequence[LeftOut]) -> None:
    """Raise Refused, with the first names and what to do, where the next writer would lack something of it."""
    lacks = [(failure.what, str(failure.error)) for failure in failures]
    lacks += [(printable(it.path), it.reason) for it in left_out if it.matters]
    if lacks:
        first = ", ".join(f"{what} ({why})" for what, why in lacks[:NAMED_MAX])
        more = f" and {len(lacks) - NAMED_MAX} more" if len(lacks) > NAMED_MAX else ""
        names = [it.path for it in left_out if it.is_missing]
        never = f"; or, if they can never be read, as root: `{how_to_accept(service, names)}`" if names else ""
        remedy = f"Give the agent's account read access, or name them under `exclude`{never}. Then repeat the move."
        raise Refused(f"not all of {service} could be saved: {first}{more}.", remedy=remedy)


def copy(node: Node, service: str, word: str, lines: Lines) -> dict[str, Any]:
    """Show the newest held copy for reading."""
    return contents_of(node, service).show_copy(node, service)


def branch(node: Node, service: str, word: str, lines: Lines) -> dict[str, Any]:
    """Put aside the files as they are here, or a dump, under the epoch `word` in which they were written."""
    folder = make_private_folder(node.service(service).branches) / word
    if not folder.exists():
        new = folder.with_name(f"{word}.new")
        shutil.rmtree(new, ignore_errors=True)
        try:
            contents_of(node, service).keep_apart(node, service, make_private_folder(new))
            os.rename(new, folder)
        except (ApplianceError, OSError) as error:
            remedy = "Free space on that disk, or repair what it names. At once: systemctl restart appliance-failover"
            raise Refused(f"writes made here could not be saved as a branch: {error}", remedy=remedy) from error
        finally:
            shutil.rmtree(new, ignore_errors=True)  # a part of it would only fill the disk until the next try
    return {"folder": str(folder)}


VERBS: Mapping[str, Callable[[Node, str, str, Lines], dict[str, Any]]] = {
    "expect": expect,
    "present": present,
    "adopt": adopt,
    "pull": pull,
    "sync": sync,
    "copy": copy,
    "branch": branch,
}


URGENT = ("expect", "present", "adopt")
"""Somebody waits for the service."""


def main() -> int:
    parent, state, service = sys.argv[1:]
    die_with_parent(int(parent))
    with ExitStack() as held:
        lines: Lines | None = None
        for order in _orders():
            try:
                node = open_node(Path(state))
                lines = lines or held.enter_context(Lines(node, urgent=order["verb"] in URGENT))
                answer = VERBS[order["verb"]](node, service, order["word"], lines)
            except ApplianceError as error:
                answer = {"error": error.what, "remedy": error.remedy}
            except OSError as error:
                answer = {"error": f"{order['verb']} {service}: {error}", "remedy": ""}
            print(json.dumps(answer), flush=True)
    return 0


def _orders() -> Iterator[dict[str, str]]:
    """One after the other, until nobody gives any more."""
    while select.select([sys.stdin], [], [], WAITS_SECONDS_MAX)[0] and (line := sys.stdin.readline()):
        yield json.loads(line)


if __name__ == "__main__":
    sys.exit(main())
