"""Open a service for reading from the best place there is: the repository written here, a standby's holding, any peer.

A standby's holding may be older than a peer's, and a peer may withhold the newest: so everybody is asked, the newest
attested generation wins, and who offers less is named. Plaintext only ever appears on a node that the service trusts.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from appliance import typed
from appliance.backup.chain.chain import Sealed, chain_of
from appliance.backup.peers.adopt import Locate, open_copy, own_repository
from appliance.backup.peers.fetch import Survey, fetch, fetch_newest, read_held, short_name, survey_all
from appliance.backup.peers.fetched_key import open_key, staging
from appliance.backup.vault.replicas import replica_of
from appliance.backup.writer.source_names import AUTO, GENERATION, LOCAL, PEER, STANDBY
from appliance.borg.client import Borg
from appliance.borg.model import Archive, Repository
from appliance.errors import NotFound, Refused, UsageError
from appliance.escrow.envelopes import ServiceKey
from appliance.host.files import locked, make_private_folder, write_atomic
from appliance.host.layout import ServiceLayout
from appliance.node.handle import Node
from appliance.restore.schema import remove_catalogue
from appliance.secret import Secret
from appliance.trust.generation import Entry, parse_list

LINKED = "sealed"
WITH_PAPER = (
    "If none of them is left, the recovery key opens it on a replacement machine (docs/how-to/replace-a-node.md), or "
    "by hand with this disk (docs/recovery-by-hand.md)."
)


@dataclass(frozen=True)
class OpenedSource:
    """A repository to read from, and where the catalogue of its names is kept.

    `generation` is "" for the one written here, and so is `name`, which tells the sides of a fork apart; `told` says
    who offers less or is silent.
    """

    repository: Repository
    catalogue: Path
    place: str
    generation: str
    told: str
    name: str = ""


@dataclass(frozen=True)
class _Choice:
    """A generation, where its files are, and `home`: the folder in which it is opened."""

    sealed: Sealed
    locate: Locate
    home: ServiceLayout
    place: str
    told: str


def open_best(
    node: Node, service: str, source: str = AUTO, type_paper: Callable[[], Secret] | None = None
) -> OpenedSource:
    """Open `service` from `source`: "local", "standby", "peer:NAME", "generation:2.7", or "auto" for the best of them.

    With `type_paper`, what is not written here is opened with the recovery key that it returns, not with this node's
    own envelope. Raise Refused on a node that the service does not trust, NotFound when there is nothing to open.
    """
    check_trusted(node, service)
    layout = node.service(service)
    if source == LOCAL or (source == AUTO and is_written_here(node, service)):
        if not layout.repository.exists():
            raise NotFound(
                f"{service} has no repository here.", remedy="Give --from auto to open the replica of a peer."
            )
        return OpenedSource(own_repository(layout), layout.catalogue, node.name, "", "")
    return _open(node, service, _choose(node, service, source), type_paper)


def open_apart(node: Node, service: str, room: Path) -> OpenedSource:
    """Open what this node itself has of `service`, asking nobody: what it sealed last, else what it holds as a standby.

    It is opened in `room`, a folder that only the caller uses, catalogue included: a program that opens another
    generation meanwhile takes no file away from under a long reading, and no backup has to wait for the reader's lock.
    """
    check_trusted(node, service)
    if is_written_here(node, service):
        choice = _sealed_here(node, service, room / LINKED)
    else:
        choice = _held_here(node, service, None, "")
    return _open(node, service, replace(choice, home=ServiceLayout(room)), None)


def newest_archive(borg: Borg, service: str) -> Archive:
    """The last archive in the repository of `borg`; raise NotFound when it has none."""
    return newest_of(borg.archives(), service)


def newest_of(archives: Sequence[Archive], service: str) -> Archive:
    """The last of `archives`; raise NotFound when there is none."""
    if not archives:
        raise NotFound(f"{service} has no archive yet.")
    return archives[-1]


def check_trusted(node: Node, service: str) -> None:
    """Raise Refused on a node that may not know the key of `service`."""
    trusted = node.bundle.trusted(service)
    if node.name not in trusted:
        raise Refused(
            f"{service} does not trust {node.name} with its key.",
            remedy=f"Run this on {' or '.join(trusted)}. {WITH_PAPER}",
        )


def _open(node: Node, service: str, choice: _Choice, type_paper: Callable[[], Secret] | None) -> OpenedSource:
    home = choice.home
    with locked(home.root / "opened.lock", what=f"the opened copy of {service}", wait=True):
        _make_way(choice.sealed, home)
        _put_envelopes(choice)
        key = key_of(node, service, home.opened, type_paper() if type_paper else None)
        repository = open_copy(home, choice.sealed, choice.locate, key)
    generation = choice.sealed.header.id
    return OpenedSource(repository, home.catalogue, choice.place, str(generation), choice.told, generation.name)


def key_of(node: Node, service: str, folder: Path, paper: Secret | None) -> ServiceKey:
    """The key in the envelopes of `folder`: with `paper` from the recovery key's, else from this node's own.

    Raise NotFound or Refused, saying how to go on, when that one is missing or was sealed to other keys.
    """
    try:
        return open_key(node, service, folder, paper)
    except Refused as error:
        if paper is not None:
            raise
        what = f"the envelope of {service} for {node.name} was sealed to keys that this node does not have."
        raise Refused(what, remedy="Open it with the recovery key: add --recovery-sheet.") from error


def offer_less(node: Node, service: str, found: Survey, newest: str) -> tuple[str, ...]:
    """Return the peers that answered and do not hold `newest`; a spare that holds nothing yet owes nothing."""
    replica_nodes = node.bundle.last_terms(service).replica_nodes
    return tuple(
        head.peer for head in found.heads if newest not in head.held and (head.held or head.peer in replica_nodes)
    )


def is_written_here(node: Node, service: str) -> bool:
    """Whether this machine is the present writer of `service`, by all that it knows."""
    grant = chain_of(node, service).newest_grant()
    if grant is None or not node.service(service).repository.exists():
        return False
    if _is_only_at_peers(node, service):
        return False
    if max(replica_of(node, service).epochs(), default=0) > grant.epoch:
        return False  # it was written here once: its present writer has pushed to us since
    return grant.writer_key == node.bundle.member(node.name).keys.sign


def _is_only_at_peers(node: Node, service: str) -> bool:
    """Whether it waits to start over after a revocation, or has begun and sealed nothing yet with its new key."""
    ended, newest = node.bundle.revoked.ended_epoch(service), chain_of(node, service).newest()
    return bool(ended) and newest is not None and newest.header.epoch <= ended


def _choose(node: Node, service: str, source: str) -> _Choice:
    if source == AUTO:
        return _newest(node, service)
    if source == STANDBY:
        return _held_here(node, service, None, "No other node was asked whether this is the newest.")
    if source.startswith(GENERATION):
        wanted = source.removeprefix(GENERATION)
        sealed, _ = fetch_newest(node, service, _staging(node, service), wanted=wanted)
        return _fetched(node, service, sealed, "its peers", f"This is generation {short_name(sealed.header.id.name)}.")
    if not source.startswith(PEER):
        raise UsageError(
            f'"{source}" is not a source.', remedy="Known: auto, local, standby, peer:NAME, generation:2.7."
        )
    peer = source.removeprefix(PEER)
    sealed = fetch(node, service, peer, None, _staging(node, service))
    return _fetched(node, service, sealed, peer, f"Only {peer} was asked whether this is the newest.")


def _newest(node: Node, service: str) -> _Choice:
    """Return the replica here when nobody attests anything newer; else the newest, fetched from a peer that has it."""
    newest = replica_of(node, service).newest_held()
    if newest:
        own, found = newest.name, survey_all(node, service)
        if _attested(found) <= own:
            return _held_here(node, service, own, _told(node, service, found, own))
    sealed, found = fetch_newest(node, service, _staging(node, service))
    return _fetched(node, service, sealed, "its peers", _told(node, service, found, sealed.header.id.name))


def _held_here(node: Node, service: str, name: str | None, told: str) -> _Choice:
    replica = replica_of(node, service)
    home = _elsewhere(node, service) if is_written_here(node, service) else node.service(service)
    return _Choice(read_held(node, service, name), lambda entry: replica.blob(entry.sha256), home, node.name, told)


def _sealed_here(node: Node, service: str, links: Path) -> _Choice:
    """The generation sealed last, linked to `links`: the next run drops the folder in which it lies."""
    sealed = chain_of(node, service).newest()
    folder = node.service(service).sealed / (sealed.header.id.name if sealed else "none")
    shutil.rmtree(links, ignore_errors=True)
    try:
        shutil.copytree(folder, make_private_folder(links.parent) / links.name, copy_function=os.link)
    except (FileNotFoundError, shutil.Error) as error:
        raise NotFound(
            f"{service} has no generation that was sealed here.", remedy=f"Run `{typed.run(service)}`, or try again."
        ) from error
    assert sealed is not None
    return _Choice(sealed, lambda entry: links / entry.path, node.service(service), node.name, "")


def _fetched(node: Node, service: str, sealed: Sealed, place: str, told: str) -> _Choice:
    folder = staging(node, service)
    return _Choice(sealed, lambda entry: folder / entry.path, _elsewhere(node, service), place, told)


def _elsewhere(node: Node, service: str) -> ServiceLayout:
    """Apart from what this node writes or holds, which an older generation of somebody else's must not disturb."""
    return ServiceLayout(node.service(service).root / "elsewhere")


def _staging(node: Node, service: str) -> Path:
    return make_private_folder(staging(node, service))


def _attested(found: Survey) -> str:
    """The name of the newest generation that a peer attests; "" when none holds one."""
    return max((head.newest.id.name for head in found.heads if head.newest), default="")


def _told(node: Node, service: str, found: Survey, newest: str) -> str:
    less = offer_less(node, service, found, newest)
    sentences = [f"These nodes offer less than generation {short_name(newest)}: {', '.join(less)}."] if less else []
    return " ".join((*sentences, found.told())).strip()


def _make_way(sealed: Sealed, home: ServiceLayout) -> None:
    """Keep the view that is there, with the index that borg built, for a generation that goes on from it.

    borg refuses a copy older than one it saw with the same base folder, and the index of another branch would be wrong.
    The catalogue, too, only goes forward: what it sees first it takes for the newest. The record is written first:
    a view that was only half brought forward counts as the newer one.
    """
    record = home.opened / "generation"
    name, _, listing = record.read_bytes().partition(b"\n") if record.exists() else (b"", b"", b"")
    is_older = sealed.header.id.name < name.decode()
    if is_older:
        remove_catalogue(home.catalogue)
    if is_older or not _has_same_files(sealed, parse_list(listing)):
        shutil.rmtree(home.opened, ignore_errors=True)
    make_private_folder(home.opened)
    write_atomic(record, f"{sealed.header.id.name}\n".encode() + sealed.listing)


def _has_same_files(sealed: Sealed, before: tuple[Entry, ...]) -> bool:
    """Whether no file of both differs: two branches write other files under the same numbers."""
    known = {entry.path: entry.sha256 for entry in before if entry.path.startswith("data/")}
    return all(known.get(entry.path, entry.sha256) == entry.sha256 for entry in sealed.entries)


def _put_envelopes(choice: _Choice) -> None:
    """Put this generation's envelopes, and no others, where the key is looked for; and its config, which names the
    repository whose key that is: after a revocation another one is written here."""
    opened = choice.home.opened
    shutil.rmtree(opened / "envelopes", ignore_errors=True)
    make_private_folder(opened / "envelopes")
    for entry in choice.sealed.entries:
        if entry.path == "config" or entry.path.startswith("envelopes/"):
            shutil.copyfile(choice.locate(entry), opened / entry.path)
