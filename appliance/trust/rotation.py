"""Other keys for a node that goes on: made beside the present ones, shown, signed for, and then in their place.

    keys/next/    what was made and is shown to be signed; nobody knows it yet
    keys/former/  what it replaced: of SSH it is still offered, because a peer may not have the new bundle yet

Only keys that nothing old depends on can be changed so. `sign` is in grants and receipts, `age` in the envelopes of
everything that was sealed, `host` is the machine's own: for those a node is replaced, as a new identity.

Each step may be cut and repeated: the present private key is linked aside before another takes its name in one rename,
so there never is none.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

from appliance.errors import Refused, UsageError
from appliance.host.files import fsync_folder, make_private_folder
from appliance.trust.keys import PublicKeys, create_key, read_public_keys
from appliance.trust.network_keys import create_mesh_key, create_tls_key

FILES = {"ssh": ("ssh_ed25519", "ssh_ed25519.pub"), "mesh": ("mesh", "mesh.pub"), "tls": ("tls.pem", "tls.pub")}
KINDS = tuple(FILES)


def begin(folder: Path, kind: str) -> str:
    """Make the next key of `kind` in `folder`, that of a node's keys, unless it is there; return its public half.

    Raise Refused while one of another kind waits: a bundle changes one thing at a time.
    """
    if kind not in FILES:
        raise UsageError(
            f'a key of kind "{kind}" cannot be rotated alone.',
            remedy=f"Known: {', '.join(KINDS)}; else replace the node.",
        )
    if others := [it for it in waiting(folder) if it != kind]:
        raise Refused(
            f"the next {others[0]} key waits to be signed.",
            remedy="Have the holder of the territory key sign it first.",
        )
    new = make_private_folder(folder / "next")
    if kind == "mesh":
        return create_mesh_key(new)
    return create_tls_key(new) if kind == "tls" else create_key(new / FILES[kind][0])


def waiting(folder: Path) -> tuple[str, ...]:
    """The kinds of which a next key was made."""
    return tuple(kind for kind, (_, public) in FILES.items() if (folder / "next" / public).exists())


def shown(folder: Path) -> PublicKeys:
    """The public keys of `folder` as they are to be signed: the next ones where there are any."""
    new = {kind: (folder / "next" / FILES[kind][1]).read_text().strip() for kind in waiting(folder)}
    return replace(read_public_keys(folder), **new)


def take(folder: Path, signed: PublicKeys) -> tuple[str, ...]:
    """Put next keys for which the bundle was `signed` in their place; which kinds."""
    found = tuple(kind for kind in waiting(folder) if getattr(shown(folder), kind) == getattr(signed, kind))
    for kind in found:
        former = make_private_folder(folder / "former")
        private, public = FILES[kind]
        if (folder / "next" / private).exists():
            (former / private).unlink(missing_ok=True)
            os.link(folder / private, former / private)
            os.replace(folder / "next" / private, folder / private)
        os.replace(folder / "next" / public, folder / public)
        fsync_folder(folder)
    return found


def has_former(folder: Path) -> bool:
    return (folder / "former").exists()


def finish(folder: Path) -> bool:
    """Forget the former keys, once every node has the new bundle; whether there were any."""
    there = has_former(folder)
    shutil.rmtree(folder / "former", ignore_errors=True)
    return there


def other_ssh_keys(folder: Path) -> tuple[Path, ...]:
    """Return the SSH keys that are offered besides the present one: peers have the bundle of before, or already that of
    after."""
    places = (folder / it / FILES["ssh"][0] for it in ("next", "former"))
    return tuple(path for path in places if path.exists())
