"""An attacker with everything that commune A's machine knows tries, over SSH, to destroy what its peers hold.

Each attempt returns what came of it in a few words; whether the peers still hold everything is looked at afterwards.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from appliance.backup.chain.chain import Chain, Sealed, chain_of
from appliance.backup.chain.seal import seal, will_compact
from appliance.backup.peers.conversation import Head, Lines, connect, destination_of, known_hosts_of
from appliance.backup.peers.fetch import fetch, short_name
from appliance.backup.peers.push import push
from appliance.borg.folder import repository_id
from appliance.errors import ApplianceError, IntegrityError, Refused, Unreachable
from appliance.host.command import run
from appliance.host.network.ssh import client_argv
from appliance.node.handle import Node, open_node
from appliance.trust.generation import Entry, make_header, render_list
from appliance.trust.grant import make_grant, make_request, read_request
from appliance.trust.keys import load_key, public_line
from appliance.units import format_count
from appliance_lab.story import Unknown, Violated


@dataclass(frozen=True)
class Attacker:
    """The stolen state folder, opened as if it were the node; `peer` is under attack."""

    node: Node
    service: str
    peer: str

    @property
    def chain(self) -> Chain:
        return chain_of(self.node, self.service)

    @property
    def newest(self) -> Sealed:
        sealed = self.chain.newest()
        assert sealed is not None
        return sealed


def steal(state: Path, to: Path) -> Path:
    """Copy a node's whole state folder, keys and repository included."""
    shutil.rmtree(to, ignore_errors=True)
    shutil.copytree(state, to, symlinks=True, ignore=shutil.ignore_patterns("*.lock", "*.sock"))
    return to


def attack(stolen: Path, service: str, peers: tuple[str, ...], borg_seconds_max: float) -> tuple[str, ...]:
    """Every attempt against every peer; the refusals, in words. Raise Violated when a forbidden thing was accepted."""
    node = open_node(stolen)
    told = [empty_and_push(Attacker(node, service, peers[0]), peers, borg_seconds_max)]
    for peer in peers:
        attacker = Attacker(node, service, peer)
        told += [f"{attempt.__name__.replace('_', ' ')}: {attempt(attacker)}" for attempt in ATTEMPTS]
    return tuple(dict.fromkeys(told))


def shell(attacker: Attacker) -> str:
    """Ask for a command, for file transfer, for borg."""
    member = attacker.node.bundle.member(attacker.peer)
    for command in ("rm -rf .", "internal-sftp", "borg serve", ""):
        argv = client_argv(
            destination_of(member, attacker.node.name),
            identity=attacker.node.layout.keys / "ssh_ed25519",
            known_hosts=known_hosts_of(attacker.node),
            command=command,
        )
        if run(argv, timeout_seconds=30).exit_code == 0:
            raise Violated(f"{member.name} ran {command!r} for an attacker.")
    return "refused"


def delete(attacker: Attacker) -> str:
    """There is no such verb; try the words one would."""
    for verb in ("delete", "prune", "thin", "replace", "discard"):
        _must_refuse(attacker, partial(_ask, attacker, verb))
    return "refused"


def rewrite(attacker: Attacker) -> str:
    """Send other bytes under the name of a blob that is held."""
    entry = max(attacker.newest.entries, key=lambda entry: entry.size)
    lie = replace(entry, size=entry.size + 1)
    entries = tuple(lie if other == entry else other for other in attacker.newest.entries)
    _must_refuse(attacker, lambda: _push_list(attacker, entries, filler=b"\0"))
    return "refused"


def grant_itself_an_epoch(attacker: Attacker) -> str:
    """A later epoch would make what the town wrote a thing of the past; only the territory key grants one."""
    own_key = load_key(attacker.node.signing_key)
    request = make_request(
        own_key,
        service=attacker.service,
        repository=repository_id(attacker.node.service(attacker.service).repository),
        writer=attacker.node.name,
        known_epoch=attacker.chain.grant().epoch,
        reason="none",
    )
    forged = make_grant(own_key, read_request(request, public_line(own_key))).decode()
    header = attacker.newest.header.document.raw.decode()
    _must_refuse(attacker, lambda: _ask(attacker, "put", grants=[forged], headers=[header], list_bytes=1))
    return "refused"


def overfill(attacker: Attacker) -> str:
    """Announce more than the quota: nothing is taken, for sizes are reserved before the first byte."""
    size = max(2**33, attacker.node.bundle.territory.service(attacker.service).quota_bytes // 100)
    big = tuple(Entry(f"data/0/{number}", f"{number:064x}", size) for number in range(1, 500))
    _must_refuse(attacker, lambda: _push_list(attacker, big, filler=b"\0"))
    return "refused"


def roll_back(attacker: Attacker) -> str:
    """Make the oldest generation the newest: as what follows, under its old number, and by offering it once more."""
    before = _head(attacker)
    with tempfile.TemporaryDirectory() as nowhere:
        # The chain of the writer keeps the newest list only; the peer itself gives the old one, files are not needed.
        oldest = fetch(attacker.node, attacker.service, attacker.peer, before.held[0], Path(nowhere), paths=())
    number = oldest.header.sequence
    error = _must_refuse(attacker, lambda: _push_list(attacker, oldest.entries, filler=b"\0", sequence=number))
    if not isinstance(error, IntegrityError):
        raise Unknown(f"{attacker.peer} refused an old number for another reason than its place in the chain: {error}")
    _offer_again(attacker, oldest)
    after = _head(attacker)
    if (after.newest, after.held) != (before.newest, before.held):
        now = short_name(after.held[-1]) if after.held else "nothing"
        raise Violated(f"{attacker.peer} was rolled back: {now} is its newest, {short_name(before.held[-1])} was.")
    return f"refused ({error.what.rstrip('.')}); offered again, {oldest.header.id} leaves the newest where it is"


ATTEMPTS: tuple[Callable[[Attacker], str], ...] = (
    shell,
    delete,
    rewrite,
    roll_back,
    grant_itself_an_epoch,
    overfill,
)


def empty_and_push(attacker: Attacker, peers: tuple[str, ...], borg_seconds_max: float) -> str:
    """The keys do allow this: forget every archive and push that as the next generation. It can only be added."""
    layout = attacker.node.service(attacker.service)
    env = {
        "BORG_BASE_DIR": str(layout.borg_base),
        "BORG_PASSPHRASE": (layout.key / "passphrase").read_text(),
        "BORG_RELOCATED_REPO_ACCESS_IS_OK": "yes",
        "BORG_EXIT_CODES": "modern",
    }
    will_compact(layout)  # an attacker with the keys can silence the node's own check for lost files
    for words in (
        ("delete", "-a", "*", str(layout.repository)),
        ("compact", "--threshold", "0", str(layout.repository)),
    ):
        run(("borg", *words), timeout_seconds=borg_seconds_max, env=env, check=True)
    chain = attacker.chain
    sealed = seal(layout, chain, chain.grant(), layout.envelopes, attacker.node.signing_key, attacker.node.clock.now())
    for peer in peers:
        with Lines(attacker.node) as lines:
            outcome = push(lines, chain, sealed, layout.sealed / sealed.header.id.name, peer)
        if outcome.error:
            raise Unknown(f"the emptied repository could not even be pushed to {peer}: {outcome.error}")
    return f"an emptied repository was added as generation {sealed.header.id}"


def _ask(attacker: Attacker, verb: str, **details: object) -> None:
    with connect(attacker.node, attacker.peer) as conversation:
        conversation.ask(verb, attacker.service, **details)
        conversation.channel.write(b"x")
        conversation.channel.read_frame()


def _head(attacker: Attacker) -> Head:
    with connect(attacker.node, attacker.peer) as conversation:
        head = conversation.head(attacker.service)
    if len(head.held) < 2:
        raise Unknown(
            f"{attacker.peer} holds {format_count(len(head.held), 'generation')}: there is none to roll back to."
        )
    return head


def _offer_again(attacker: Attacker, sealed: Sealed) -> None:
    """Push what the peer holds already; it may answer with the receipt of then, or refuse."""
    header = sealed.header.document.raw.decode()
    with contextlib.suppress(IntegrityError, Refused), connect(attacker.node, attacker.peer) as conversation:
        conversation.ask("put", attacker.service, headers=[header], list_bytes=len(sealed.listing))
        conversation.channel.write(sealed.listing)
        conversation.channel.read_frame()


def _push_list(attacker: Attacker, entries: tuple[Entry, ...], *, filler: bytes, sequence: int = 0) -> None:
    """Push a properly signed generation of `entries` after the newest, as the next one or under another `sequence`.

    Requested files are filled with `filler`.
    """
    previous, grant = attacker.newest.header, attacker.chain.grant()
    listing = render_list(entries)
    header = make_header(
        load_key(attacker.node.signing_key),
        service=attacker.service,
        epoch=grant.epoch,
        sequence=sequence or previous.sequence + 1,
        previous=previous.id.digest,
        time=previous.time,
        listing=listing,
        entries=entries,
    )
    sizes = {entry.sha256: entry.size for entry in entries}
    with connect(attacker.node, attacker.peer) as conversation:
        conversation.ask("put", attacker.service, headers=[header.decode()], list_bytes=len(listing))
        conversation.channel.write(listing)
        for digest, offset in conversation.channel.read_frame().get("need", ()):
            conversation.channel.write(filler * (sizes[digest] - offset))
        conversation.channel.read_frame()


def _must_refuse(attacker: Attacker, act: Callable[[], None]) -> ApplianceError:
    """The refusal; raise Violated when there is none."""
    try:
        act()
    except Unreachable as error:
        raise Unknown(f"{attacker.peer} did not answer, so it refused nothing: {error}") from error
    except ApplianceError as error:
        return error
    raise Violated(f"{attacker.peer} accepted something from an attacker that it must refuse.")
