"""The generation that was fetched and waits for its grant.

The generation that the request was made for is adopted, whatever the peers hold by then: after an attack the newest one
may be the attacker's. A restore may have used the same folder meanwhile, so each file is checked again, and read unless
it is the very one that was read before.
"""

from __future__ import annotations

from appliance import typed
from appliance.backup.chain.chain import Sealed, chain_of
from appliance.backup.chain.proven import FETCHED, Proven
from appliance.backup.peers.fetched_key import staging
from appliance.errors import IntegrityError, NotFound
from appliance.host.files import write_atomic
from appliance.node.handle import Node
from appliance.trust.generation import epoch_of, parse_list, read_header

HEADER, LIST = ".header", ".list"  # no path of a generation begins with a dot


def _again(service: str) -> str:
    return f"Fetch it again: `{typed.resync(service)}`."


def remember_fetched(node: Node, service: str, sealed: Sealed) -> None:
    """Write down which generation the folder of fetched files is; the header last, so that it is whole or not there."""
    folder = staging(node, service)
    write_atomic(folder / LIST, sealed.listing)
    write_atomic(folder / HEADER, sealed.header.document.raw)


def load_fetched(node: Node, service: str) -> Sealed:
    """The fetched generation, every file of it proven by its hash.

    Raise NotFound when nothing was fetched, IntegrityError when a file is not what the list says.
    """
    folder = staging(node, service)
    try:
        raw, listing = (folder / HEADER).read_bytes(), (folder / LIST).read_bytes()
    except FileNotFoundError as error:
        raise NotFound(f"no generation of {service} was fetched to be continued.", remedy=_again(service)) from error
    grant = chain_of(node, service).grant_of(epoch_of(raw))
    if grant is None:
        raise NotFound(f"the grant of what was fetched of {service} is not here.", remedy=_again(service))
    header = read_header(raw, grant.writer_key)
    sealed = Sealed(header, listing, parse_list(listing, header))
    proven = Proven(node, service)
    for entry in sealed.entries:
        path = folder / entry.path
        if not path.exists() or not proven.is_right(FETCHED, entry, path):
            raise IntegrityError("a fetched file does not match its list.", where=str(path), remedy=_again(service))
    return sealed
