"""The rules for shares of `territory.yml`, so that Samba can serve them and PCs can reach them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from appliance.config.explain import Path
from appliance.config.parts import Parts, Placed
from appliance.config.service_schema import ServicePart
from appliance.territory.model import SHARES

# One folder of the shares' subvolume, whose name can stand in Samba's settings.
_FOLDER = re.compile(re.escape(SHARES) + r"/\w([\w .'’-]*[\w'’-])?")


def check_shares(parts: Parts) -> Iterator[tuple[Path, str]]:
    """A path and a sentence for each mistake."""
    sites = {node.name: str(node.path[1]) for node in parts.nodes}
    without_lan = {site.name: site.path for site in parts.sites if not site.part.lan}
    first: dict[tuple[str, str], str] = {}
    for service in parts.services:
        part, path = service.part, service.path
        if not part.share:
            if part.share_groups:
                yield (*path, "share_groups"), 'is for a share; also give its name: "share".'
            continue
        yield from _folder(service)
        for what, name in (("share", part.share.casefold()), *(("paths", folder) for folder in part.paths)):
            if (other := first.setdefault((part.node, name), service.name)) != service.name:
                yield (*path, what), f"{part.node} already serves a share of this name: services > {other}."
        if (site := sites.get(part.node)) in without_lan:
            yield (
                (*path, "share"),
                f'no PC could reach it: the site {site} lacks "lan", its own network, such as [192.168.1.0/24].',
            )


def check_moving_shares(parts: Parts) -> Iterator[tuple[Path, str]]:
    """The same of shares with an address, which move between nodes."""
    for service in (it for it in parts.services if it.part.share and it.part.address):
        part, path = service.part, service.path
        if part.policy != "local-first":
            sentence = "a share that can move must be local-first, so that a town hall that is cut off can continue."
            yield (*path, "policy"), f"is {part.policy}; {sentence}"
        # PCs come to their node's own address, where one Samba has the port.
        beside = [it.name for it in parts.services if it.part.share and it.part.node == part.node and it is not service]
        if beside:
            sentence = (
                "a share that can move must be the only one of its node. Make the others folders in it, or "
                "remove its address."
            )
            yield (*path, "address"), f"{part.node} also serves {', '.join(beside)}; {sentence}"


def _folder(service: Placed[ServicePart]) -> Iterator[tuple[Path, str]]:
    part, path = service.part, service.path
    if part.kind != "files":
        yield (*path, "share"), f"is for files, but the kind is {part.kind}."
    elif len(part.paths) != 1:
        yield (*path, "paths"), "must be one folder, since the service is a share."
    elif not _FOLDER.fullmatch(part.paths[0]):
        yield (
            (*path, "paths", 0),
            f"must be a folder directly in {SHARES}, since the service is a share: letters, digits, spaces, . ' and -.",
        )
