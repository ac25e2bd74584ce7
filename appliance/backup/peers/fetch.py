"""Bring a generation from a peer's vault: to restore, to open, to adopt or to hold. Every byte is checked by its hash.

The bytes land in a staging folder under their list's paths; a cut is resumed by the byte, and a finished file is not
asked for again. An offer of a peer is believed only as far as the chain of signatures from the territory key reaches.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from appliance import typed
from appliance.backup.chain.chain import Chain, Sealed, chain_of
from appliance.backup.chain.grants import granters_of
from appliance.backup.chain.proven import FETCHED, Proven
from appliance.backup.peers.conversation import Conversation, Head, Lines, connect
from appliance.backup.peers.local_reuse import lacking
from appliance.backup.peers.shown import read_shown
from appliance.backup.vault.evidence import read_stored_header
from appliance.backup.vault.header_parts import read_headers
from appliance.backup.vault.limits import LISTING_BYTES_MAX
from appliance.backup.vault.maintenance.act_effects import passed_over
from appliance.backup.vault.offer import proven_header
from appliance.backup.vault.replicas import replica_of
from appliance.backup.vault.store import HEADER, LIST, Replica
from appliance.backup.vault.stored_grants import stored_grant
from appliance.backup.vault.wire import Channel
from appliance.errors import ApplianceError, IntegrityError, NotFound, Refused, Unreachable
from appliance.host.files import make_private_folder
from appliance.node.handle import Node
from appliance.trust.generation import Entry, GenerationId, Header, epoch_of, parse_list, read_header


@dataclass(frozen=True)
class Survey:
    """The answers of all reachable peers about a service; `silent` names those without a usable answer, with the
    reason."""

    heads: tuple[Head, ...]
    silent: Mapping[str, str]
    own: GenerationId | None = None
    """The newest that the asking node holds itself, for a service of others."""

    def newest(self) -> GenerationId:
        """The newest generation anybody attests, the asker included; raise NotFound when nobody holds one."""
        held = [head.newest.id for head in self.heads if head.newest]
        held += [self.own] if self.own else []
        if not held:
            raise NotFound("no peer that answered holds a generation.", remedy=self.told())
        return max(held)

    def behind(self) -> tuple[str, ...]:
        """Peers that offer less than the newest; a restore names them."""
        newest = self.newest()
        return tuple(head.peer for head in self.heads if newest.name not in head.held)

    def told(self) -> str:
        """Return the peers that did not answer, as a sentence; and a warning when fewer than two did."""
        parts = [f"{peer}: {reason}" for peer, reason in self.silent.items()]
        if len(self.heads) < 2:
            parts.append("Fewer than two peers answered, so this may be an older state and not the newest.")
        return " ".join(parts)


def survey(node: Node, service: str, peers: tuple[str, ...], lines: Lines | None = None) -> Survey:
    """Ask every peer for its head, all at once; on `lines`, when given, which stay open."""
    with Lines(node) as own:
        heads, silent = (lines or own).ask_all(peers, lambda conversation: conversation.head(service))
    return Survey(tuple(heads.values()), {peer: it.what for peer, it in silent.items()}, _newest_held(node, service))


def survey_all(node: Node, service: str, lines: Lines | None = None) -> Survey:
    """The same of every other holder and spare."""
    return survey(node, service, node.bundle.last_terms(service).others(node.name), lines)


def _newest_held(node: Node, service: str) -> GenerationId | None:
    """The newest generation in this node's own holding; None when it holds none that proves itself."""
    replica = replica_of(node, service)
    newest = replica.newest_held(passed_over(node, service))
    try:
        return read_stored_header(node, replica, newest.name).id if newest else None
    except ApplianceError:
        return None


def fetch(
    node: Node,
    service: str,
    peer: str,
    name: str | None,
    folder: Path,
    chain: Chain | None = None,
    paths: Container[str] | None = None,
) -> Sealed:
    """Bring generation `name` (None: the newest held) of `service` from `peer` into `folder`; return it, checked.

    With `chain`, the grants and headers of the whole history are kept in it. With `paths`, only these files come, and
    no record about files here is believed: they may be wanted since one of them is corrupt. Files that are on this
    machine already are not asked for.
    """
    verb = "get-own" if node.bundle.last_terms(service).origin == node.name else "get"
    with connect(node, peer) as conversation:
        known = chain.to_compare() if chain else ()
        conversation.ask(verb, service, generation=name, parts=True, known=list(known), alone=chain is None)
        sealed = _read_generation(conversation, service, name, chain)
        make_private_folder(folder)
        entries = tuple(it for it in sealed.entries if paths is None or it.path in paths)
        proven = Proven(node, service, empty=paths is not None)
        missing = lacking(node, service, entries, folder, proven)
        _receive_files(conversation.channel, missing, folder, proven)
        conversation.channel.write_frame({"done": True})
    if paths is None:
        proven.save(FETCHED, entries)
    return sealed


def _take_held(node: Node, service: str, name: str, folder: Path, chain: Chain | None) -> Sealed:
    """The same from what this node holds itself: it may be the last that has it."""
    sealed = _keep_documents(node, service, name, chain) if chain else read_held(node, service, name)
    return _take_here(node, service, sealed, folder)


def _take_here(node: Node, service: str, sealed: Sealed, folder: Path, own: Path | None = None) -> Sealed:
    proven = Proven(node, service)
    missing = lacking(node, service, sealed.entries, make_private_folder(folder), proven, own)
    proven.save(FETCHED, sealed.entries)
    if missing:
        what = f"{missing[0].path} is corrupt or missing here."
        raise IntegrityError(what, remedy="Repair it: `appliance vault repair`.")
    return sealed


def _keep_documents(node: Node, service: str, name: str, chain: Chain) -> Sealed:
    """The generation `name` held here; `chain` gets all grants and headers that are known with it."""
    sealed = read_held(node, service, name)
    keep_history(node, service, chain)
    return sealed


def keep_history(node: Node, service: str, chain: Chain) -> None:
    """Have `chain` know every grant and header that this node's vault knows; each that is new there is proven again."""
    replica = replica_of(node, service)
    grants = {epoch: stored_grant(replica, node.bundle, epoch) for epoch in replica.epochs()}
    for grant in grants.values():
        chain.add_grant(grant)
    known = frozenset(chain.names())
    new = [name for name in replica.names() if name not in known]
    headers = [(name, proven_header(replica.read(name, HEADER), grants, service)) for name in new]
    for name, header in headers:
        _check_name(header, name)
    chain.add_headers([header for _, header in headers])


def _check_name(header: Header, name: str) -> None:
    if header.id.name != name:
        raise IntegrityError(f"the header of {name} belongs to another generation.")


def _read_generation(conversation: Conversation, service: str, asked: str | None, chain: Chain | None) -> Sealed:
    peer, answer = conversation.peer.name, conversation.channel.read_frame()
    name, size = answer.get("generation"), answer.get("list_bytes")
    if type(size) is not int or not 0 < size <= LISTING_BYTES_MAX or not isinstance(name, str):
        raise IntegrityError(
            f"{peer} did not answer with a generation and a list of at most {LISTING_BYTES_MAX} bytes."
        )
    if asked is not None and name != asked:
        raise IntegrityError(f"{peer} was asked for generation {asked} and answered with another.")
    raws = read_headers(conversation.channel, answer, peer)
    listing = conversation.channel.read(size)
    shown = read_shown(granters_of(conversation.node, service), conversation.peer, service, answer.get("grants"))
    headers = shown.headers(raws)
    header = next((header for header in headers if header.id.name == name), None)
    if header is None:
        raise IntegrityError(f"{peer} offers generation {name} of {service} without its header.")
    sealed = Sealed(header, listing, parse_list(listing, header))
    if chain:
        for grant in shown.grants.values():
            chain.add_grant(grant)
        chain.add_headers(headers)
    return sealed


def _receive_files(channel: Channel, entries: tuple[Entry, ...], folder: Path, proven: Proven) -> None:
    """Take the files of `entries`, each content once."""
    first: dict[str, Entry] = {}
    for entry in entries:
        first.setdefault(entry.sha256, entry)
    wanted = [(entry, _offset(folder / entry.path, entry)) for entry in first.values()]
    wrong_starts = _receive_wanted(channel, wanted, folder)
    _receive_wanted(channel, [(entry, 0) for entry in wrong_starts], folder)
    for entry in entries:
        path = folder / entry.path
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            os.link(folder / first[entry.sha256].path, path)
        proven.learn(FETCHED, entry, path)


def _receive_wanted(channel: Channel, wanted: Sequence[tuple[Entry, int]], folder: Path) -> list[Entry]:
    """Take these files; those that another peer has sent a wrong start of, of which nothing is left here."""
    if wanted:
        channel.write_frame({"want": [[entry.sha256, offset] for entry, offset in wanted]})
    return [entry for entry, offset in wanted if not _receive_file(channel, entry, offset, folder)]


def _offset(path: Path, entry: Entry) -> int:
    """From which byte a file is still wanted."""
    partial = path.with_name(path.name + ".part")
    return min(partial.stat().st_size, entry.size) if partial.exists() else 0


def _receive_file(channel: Channel, entry: Entry, offset: int, folder: Path) -> bool:
    """Take a file from byte `offset` on; whether it is right. A wrong one is gone then; raise IntegrityError for one
    that this peer sent all of."""
    path = folder / entry.path
    partial = path.with_name(path.name + ".part")
    partial.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    with open(partial, "r+b" if partial.exists() else "w+b") as file:
        file.truncate(offset)
        while piece := file.read(1 << 20):
            digest.update(piece)
        left = entry.size - offset
        while left:
            piece = channel.read_some(left)
            file.write(piece)
            digest.update(piece)
            left -= len(piece)
        file.flush()
        os.fsync(file.fileno())
    if digest.hexdigest() == entry.sha256:
        os.rename(partial, path)
        return True
    partial.unlink()
    if not offset:
        raise IntegrityError(f"the received file {entry.path} does not match the hash in its list.")
    return False


def fetch_newest(
    node: Node,
    service: str,
    folder: Path,
    chain: Chain | None = None,
    wanted: str | None = None,
    lines: Lines | None = None,
    required: str = "",
) -> tuple[Sealed, Survey]:
    """Bring the newest attested generation from whichever holder has it; try the next holder when one fails.

    `wanted` names an older one, as "2.7" or by its full name: the last good one before an attack. `required`: the full
    name of the generation with which the last writer gave the service up. It is brought, or one of a later epoch, or
    Unreachable is raised: something older lacks what was acknowledged.
    """
    survey_ = survey_all(node, service, lines)
    own = _held_here(replica_of(node, service), wanted)
    name = _held_name(survey_, own, wanted) if wanted else _newest_with(survey_, required)
    if not wanted and _holds(replica_of(node, service), name):
        own = frozenset([name])
    errors = []
    if name == required and (sealed := _sealed_here(node, service, name)):
        with contextlib.suppress(ApplianceError):
            return _take_here(node, service, sealed, folder, node.service(service).sealed / name), survey_
    if name == required and name not in own and not any(name in head.held for head in survey_.heads):
        raise _missing(node, service, name, survey_)
    for holder, held in ((node.name, own), *((head.peer, head.held) for head in survey_.heads)):
        if name in held:
            try:
                if holder == node.name:
                    return _take_held(node, service, name, folder, chain), survey_
                return fetch(node, service, holder, name, folder, chain), survey_
            except ApplianceError as error:
                errors.append(f"{holder}: {error.what}")
    raise _unsent(node, service, name, survey_, errors)


def _newest_with(found: Survey, required: str) -> str:
    """The newest that anybody attests, unless that is of no later epoch than `required`, which has everything."""
    if not required:
        return found.newest().name
    held = [head.newest.id for head in found.heads if head.newest] + ([found.own] if found.own else [])
    later = [it for it in held if it.epoch > int(required.partition(".")[0])]
    return max(later).name if later else required


def _sealed_here(node: Node, service: str, name: str) -> Sealed | None:
    """The generation `name` if this node sealed it last and its files are still there."""
    sealed = chain_of(node, service).newest()
    there = sealed is not None and sealed.header.id.name == name and (node.service(service).sealed / name).is_dir()
    return sealed if there else None


def _missing(node: Node, service: str, name: str, found: Survey) -> Unreachable:
    silent = "".join(f" {peer}: {why}" for peer, why in found.silent.items())
    held = [it for head in found.heads for it in head.held] + ([found.own.name] if found.own else [])
    return Unreachable(
        f"{service} was given up with generation {short_name(name)}, and no node that answers holds it.{silent}",
        remedy="It continues automatically once a node that holds it "
        f"answers.{_older(node, service, max(held, default=''))}",
    )


def _unsent(node: Node, service: str, name: str, found: Survey, errors: Sequence[str]) -> Unreachable:
    """Those who say that they hold `name` did not send it. An older one is named of somebody else, where there is one:
    what the same holder says of that may be as untrue."""
    own = [it.name for it in replica_of(node, service).listed() if it.held]
    others = [held for held in (own, *(head.held for head in found.heads)) if name not in held]
    older = max((it for held in others for it in held if it < name), default="")
    short = short_name(older) if older else ""
    choice = f" A restore brings {short} with `--from generation:{short}`." if older else ""
    return Unreachable(
        f"no node could send generation {short_name(name)}: {' '.join(errors)}",
        remedy="It continues automatically once the generation is sent, on the node that takes it "
        f"over.{choice}{_older(node, service, older)}",
    )


def _older(node: Node, service: str, older: str) -> str:
    """Return the command that goes on from `older`, if there is one."""
    if not older:
        return ""
    sign = f"appliance act sign promote {node.name} --service {service} --generation {older} {typed.BY_OPERATOR}"
    given_up = f"To continue from {short_name(older)} and give up later generations: `{sign}`"
    return f" {given_up}, then here: `appliance act accept FILE`."


def fetch_documents(node: Node, service: str, found: Survey, chain: Chain) -> Sealed:
    """The newest attested generation without its files, and the whole history in `chain`, from any peer that has it."""
    name, errors = found.newest().name, []
    if found.own and found.own.name == name:
        return _keep_documents(node, service, name, chain)
    with tempfile.TemporaryDirectory() as nowhere:
        for head in found.heads:
            if name in head.held:
                try:
                    return fetch(node, service, head.peer, name, Path(nowhere), chain, paths=())
                except ApplianceError as error:
                    errors.append(f"{head.peer}: {error.what}")
    raise Unreachable(f"no peer could send the history of {service}: {' '.join(errors)}", remedy="Try again.")


def _holds(replica: Replica, name: str) -> bool:
    stored = replica.find(name)
    return stored is not None and stored.held


def _held_here(replica: Replica, wanted: str | None) -> frozenset[str]:
    """The names of all that is held here, to find `wanted` among them; none when the newest is."""
    return frozenset(item.name for item in replica.listed() if item.held) if wanted else frozenset()


def _held_name(found: Survey, own: Iterable[str], wanted: str) -> str:
    """The full name of the generation that somebody calls "2.7"; raise NotFound, or Refused for one that forked."""
    names = {name for head in found.heads for name in head.held} | {*own}
    matching = {name for name in names if name == wanted or short_name(name) == wanted}
    if not matching:
        held = f"Held: {', '.join(map(short_name, sorted(names)))}." if names else "None is held."
        raise NotFound(f"no node that answered holds generation {wanted}.", remedy=held)
    if len(matching) > 1:
        raise Refused(f"generation {wanted} has two sides: {', '.join(sorted(matching))}.", remedy="Name one in full.")
    return matching.pop()


def short_name(name: str) -> str:
    """ "2.7" for the folder name 00002.0000000007.HHHH."""
    epoch, sequence, _ = name.split(".")
    return f"{int(epoch)}.{int(sequence)}"


def read_held(node: Node, service: str, name: str | None = None) -> Sealed:
    """A generation that this node holds itself, checked as if it came from a peer; None: the newest one held."""
    replica = replica_of(node, service)
    found = replica.find(name) if name else replica.newest_held()
    if found is None or not found.held:
        held = sum(item.held for item in replica.listed())
        raise NotFound(f"{service} has no such generation here.", remedy=f"{held} are held.")
    name = found.name
    raw, listing = replica.read(name, HEADER), replica.read(name, LIST)
    grant = stored_grant(replica, node.bundle, epoch_of(raw))
    header = read_header(raw, grant.writer_key)
    return Sealed(header, listing, parse_list(listing, header))
