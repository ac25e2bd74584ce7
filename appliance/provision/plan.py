"""The parts of a host as the bundle wants them, and what must change for that. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from appliance.errors import NotFound
from appliance.provision import exporters, failover, firewall, hosts, mesh, vault, voter
from appliance.provision.files import PARTS, Account, OwnedFolder, Part, WantedFile
from appliance.provision.observe import Declared, Present, PresentFile
from appliance.trust.bundle import Bundle


@dataclass(frozen=True)
class Changes:
    """In the order in which they are made. Reloads come each once, and after them the units that are to run."""

    accounts: tuple[Account, ...] = ()
    folders: tuple[OwnedFolder, ...] = ()
    files: tuple[WantedFile, ...] = ()
    remove: tuple[str, ...] = ()
    reloads: tuple[tuple[str, ...], ...] = ()
    units: tuple[str, ...] = ()

    @property
    def changed(self) -> tuple[str, ...]:
        """The names that a person would call changed: paths, and accounts and units by their name."""
        made = (*(it.name for it in self.accounts), *(it.path for it in self.folders))
        return (*made, *(it.path for it in self.files), *self.remove, *self.units)


def wanted(bundle: Bundle, name: str, declared: Declared, names: Iterable[str] = PARTS) -> tuple[Part, ...]:
    """The parts `names` of the node `name`; raise NotFound when the bundle does not know it."""
    if name not in bundle.territory.nodes:
        raise NotFound(
            f"the bundle does not describe {name}.", remedy="Accept one that does: `appliance node accept BUNDLE`."
        )
    made: dict[str, Callable[[], Part]] = {
        "hosts": lambda: hosts.part(bundle, declared.hosts),
        "firewall": lambda: firewall.part(bundle, name, declared.operators, declared.snippets),
        "mesh": lambda: mesh.part(bundle, name),
        "vault": lambda: vault.part(bundle, name),
        "voter": lambda: voter.part(bundle, name),
        "failover": lambda: failover.part(bundle, name),
        "exporters": lambda: exporters.part(bundle, name, certified=declared.certified),
    }
    return tuple(made[part]() for part in PARTS if part in names)


def decide(part: Part, present: Present, owed: Iterable[tuple[str, ...]] = ()) -> Changes:
    """Return the changes from `present` to `part`. `owed`: reloads that a run which was cut did not come to."""
    files = tuple(file for file in part.files if not _same(file, present.files.get(file.path)))
    reloads = (*owed, *(file.reload for file in files if file.reload), *present.out_of_force)
    return Changes(
        accounts=tuple(it for it in part.accounts if it.name not in present.accounts),
        folders=tuple(it for it in part.folders if it.path not in present.folders),
        files=files,
        remove=present.stray,
        reloads=tuple(dict.fromkeys(reloads)),
        units=present.idle,
    )


def _same(file: WantedFile, found: PresentFile | None) -> bool:
    return found == PresentFile(file.text.encode(), file.mode, file.owner, file.group)
