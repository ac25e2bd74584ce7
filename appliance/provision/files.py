"""The wanted state of a part of a host: whole files, accounts, folders that hold nothing else. Values only."""

from __future__ import annotations

from dataclasses import dataclass

PARTS = ("vault", "mesh", "firewall", "hosts", "voter", "failover", "exporters")
"""In the order in which they are put in force: for a node that was revoked SSH ends first, then its way here."""
CANDIDATE = "{candidate}"
HEADING = "# Written from the bundle of the territory; what is changed here is lost."
"""The first line of what is rendered, where its program lets us say that."""


@dataclass(frozen=True)
class WantedFile:
    """A whole file as it should be.

    `check` is an argv that must exit with 0 before the file is in force. Where it names CANDIDATE it reads the new text
    from a file beside, before anything changed; otherwise it runs with the file in place, and the old one comes back
    when it fails. `reload` brings a changed file in force; `in_force` asks the machine whether it is, whatever the disk
    says, and exits with 0 then.
    """

    path: str
    text: str
    mode: int = 0o644
    owner: str = "root"
    group: str = "root"
    check: tuple[str, ...] = ()
    reload: tuple[str, ...] = ()
    in_force: tuple[str, ...] = ()


@dataclass(frozen=True)
class OwnedFolder:
    """A folder of which we own every file that matches the glob `names`: one that nobody wants is removed.

    With "" nothing in it is ours: the folder is only made. With an `owner` or a `group` it is given to them.
    """

    path: str
    names: str = "*"
    mode: int = 0o755
    owner: str = ""
    group: str = ""


@dataclass(frozen=True)
class Account:
    """A system account without password; it is made when it is missing and never deleted.

    A number used again would give the next account the files of the last. One whose keys are gone lets nobody in.
    """

    name: str
    home: str = "/nonexistent"
    shell: str = "/usr/sbin/nologin"
    groups: tuple[str, ...] = ()


@dataclass(frozen=True)
class Part:
    """One part of a host as it should be: one of PARTS, or `node`, which there is before a bundle.

    `units` run now and at each start where that is asked for. `warnings` say what cannot be, one sentence each.
    """

    name: str
    files: tuple[WantedFile, ...] = ()
    folders: tuple[OwnedFolder, ...] = ()
    accounts: tuple[Account, ...] = ()
    units: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
