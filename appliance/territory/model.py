"""The parts of a territory, as signed in its bundle. Values only: no file, no clock, only the standard library.

Sizes are bytes, durations seconds, coordinates millionths of a degree: whole numbers throughout, because a signed
document holds no floats.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from appliance.errors import NotFound
from appliance.territory.duty import Roster
from appliance.units import DAY, HOUR, MINUTE

NAME = re.compile(r"[a-z][a-z0-9-]{0,62}")
GROUP = re.compile(r"[a-z](?:[a-z0-9]|-(?=[a-z0-9])){0,23}")
"""A group of accounts of a town hall."""
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""The characters that no text of a territory holds: a line break in a title would be a line of its own in a file that
root writes, and a sign that turns the direction of writing shows the signer of a bundle another text than nodes
read."""
SHARES = "/srv/shares"
"""The folder of a node whose folders are its shares: one subvolume, so that one snapshot shows all at one moment."""
SITES = "/srv/sites"
"""The folder of a node in which the sites lie that move between nodes."""
DATABASES = "/srv/databases"
"""The folder of a node in which the databases lie that move between nodes, each in a cluster of its own."""
ZONE_KINDS = ("flood", "industrial", "power", "fibre", "building", "supplier", "region")
NODE_ROLES = ("control", "standby", "voter", "monitor", "mirror")
SERVICE_KINDS = ("files", "postgresql", "sqlite")
KEY_ACCESS = ("hot", "sealed")
POLICIES = ("local-first", "exclusive", "mirror")
MICRODEGREES = 1_000_000
LEASE_SECONDS = 15
HAND_BACK, NEVER = "01:00-05:00", "never"
"""When a handback may start by itself, local time: nobody works on a service then, and no backup is due."""


@dataclass(frozen=True)
class Zone:
    """A failure domain: what it holds may be lost together. Sites and nodes lie in many.

    A `tolerated` zone (one power region, one fibre network for all) does not forbid two copies in it: placement only
    prefers to avoid that, and the survivability table shows what its loss costs.
    """

    name: str
    kind: str
    title: str
    warning_seconds: int = 0
    tolerated: bool = False


@dataclass(frozen=True)
class Link:
    """A kind of line a node can have; rates are what the provider sells, not what was measured."""

    name: str
    title: str
    up_bits_per_second: int
    down_bits_per_second: int
    metered: bool = False


@dataclass(frozen=True)
class Site:
    """A building with nodes; two nodes of one site always share a failure domain, declared or not.

    `lan`: networks of its PCs, from which its shares are reached.
    """

    name: str
    title: str
    zones: tuple[str, ...] = ()
    insee: str = ""
    population: int = 0
    latitude_microdegrees: int = 0
    longitude_microdegrees: int = 0
    lan: tuple[str, ...] = ()

    @property
    def latitude(self) -> float:
        """Degrees north."""
        return self.latitude_microdegrees / MICRODEGREES

    @property
    def longitude(self) -> float:
        """Degrees east."""
        return self.longitude_microdegrees / MICRODEGREES


@dataclass(frozen=True)
class Node:
    """A machine of ours; `offered_bytes` is what it lends to others' copies, `zones` come on top of its site's.

    `push_bits_per_second_max` bounds what one run sends to all its peers together; 0 is no limit. `mesh` is its
    address inside the territory's WireGuard network, "" without one; `mesh_port` is where it takes WireGuard's packets,
    0 behind a carrier's NAT, where nobody can begin. `broker_port` is where a voter's broker listens, at `reach`.
    """

    name: str
    site: str
    address: str
    port: int
    disk_bytes: int
    offered_bytes: int
    uplink: str
    fallback: str = ""
    push_bits_per_second_max: int = 0
    mesh: str = ""
    mesh_port: int = 51820
    broker_port: int = 7412
    roles: tuple[str, ...] = ()
    zones: tuple[str, ...] = ()

    @property
    def reach(self) -> str:
        """The address at which other nodes talk to it."""
        return self.mesh or self.address


@dataclass(frozen=True)
class Schedule:
    """When a backup runs: each day at `daily_at` ("HH:MM" in the territory's time zone), or some time after the last.

    `every_minutes` goes before `every_hours`, which then is what a version that knows no minutes keeps to.
    """

    daily_at: str = ""
    every_hours: int = 0
    every_minutes: int = field(default=0, metadata={"apart": True})

    @classmethod
    def of_minutes(cls, minutes: int) -> Schedule:
        """One of whole hours has no minutes, so every version keeps to it as it is."""
        hours, more = divmod(minutes, 60)
        return cls(every_hours=hours + 1, every_minutes=minutes) if more else cls(every_hours=hours)

    @property
    def span_seconds(self) -> int:
        """From one run to the next; 0 for a time of day."""
        return self.every_minutes * MINUTE if self.every_minutes else self.every_hours * HOUR

    def __str__(self) -> str:
        """As in territory.yml."""
        if self.every_minutes:
            return f"every {self.every_minutes} min"
        return f"every {self.every_hours} h" if self.every_hours else self.daily_at


@dataclass(frozen=True)
class Retention:
    """How many archives the writer's own repository keeps; what peers keep is theirs to decide."""

    hourly: int = 24
    daily: int = 14
    weekly: int = 8
    monthly: int = 12
    yearly: int = 0


@dataclass(frozen=True)
class Service:
    """The files or database that one node backs up as one repository.

    `paths` are folders for files, database files for sqlite; `database` is the name for postgresql. `standbys` are
    trusted with the key and hold the first copies; `copies` counts them too, never the origin. `share` is what PCs call
    its one folder, "" when it is no share; `share_groups` may enter, everybody when there are none. `address` is its
    own IPv4 address in the mesh, which goes where it is served; "" for what moves between nodes by hand alone. `called`
    is its name in territory.yml where that was changed; "" where `name` is that. `guessed` are the settings, `size` and
    `change_per_day`, that territory.yml marks as guesses: it is for the person who plans, and is not signed.
    """

    name: str
    node: str
    kind: str
    title: str = ""
    paths: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    database: str = ""
    share: str = ""
    share_groups: tuple[str, ...] = ()
    address: str = ""
    copies: int = 2
    standbys: tuple[str, ...] = ()
    key_access: str = "hot"
    policy: str = "local-first"
    external: tuple[str, ...] = ()
    offline: tuple[str, ...] = ()
    size_bytes: int = 0
    change_bytes_per_day: int = 0
    quota_bytes: int = 0
    rpo_seconds: int = DAY
    rto_seconds: int = 4 * HOUR
    schedule: Schedule = Schedule(daily_at="21:00")
    lock_seconds: int = 30 * DAY
    retention: Retention = Retention()
    called: str = field(default="", metadata={"apart": True})
    guessed: tuple[str, ...] = field(default=(), compare=False, metadata={"apart": True})

    @property
    def folders(self) -> tuple[str, ...]:
        """The folders that it backs up as they lie there; a database has none."""
        return self.paths if self.kind == "files" else ()

    @property
    def label(self) -> str:
        """How people are told of it: by its present name, with the first one, which is that of its history."""
        return f"{self.called} ({self.name})" if self.called else self.name

    @property
    def is_merged(self) -> bool:
        """Whether two histories of it can be made one; those of a database are never."""
        return self.kind == "files"

    @property
    def candidates(self) -> tuple[str, ...]:
        """The nodes that may hold it, its home first; none of a mirror, which is the same everywhere."""
        return () if self.policy == "mirror" else (self.node, *self.standbys)


@dataclass(frozen=True)
class Person:
    """`keys`: SSH public keys without comment; `may`: the acts this person may sign; `sites`: where, all when empty.
    `root_keys`: those that log in as root, which playbooks install, so that no bundle is signed again for them.

    `addressees` are the names under which the role monitoring knows how to reach this person, and `touches` the sites
    and nodes whose boxes they can touch, all when empty. Neither is signed: see `duty.py`.
    """

    name: str
    title: str
    keys: tuple[str, ...] = ()
    may: tuple[str, ...] = ()
    sites: tuple[str, ...] = ()
    root_keys: tuple[str, ...] = field(default=(), metadata={"apart": True})
    addressees: tuple[str, ...] = field(default=(), compare=False, metadata={"apart": True})
    touches: tuple[str, ...] = field(default=(), compare=False, metadata={"apart": True})


@dataclass(frozen=True)
class ExternalPeer:
    """A peer outside the territory. With `territory_can_log_in` it falls with the control machine."""

    name: str
    title: str
    country: str
    address: str
    port: int
    territory_can_log_in: bool = False


@dataclass(frozen=True)
class OfflineDisk:
    """A disk plugged in at most every `every_seconds` and otherwise kept at `kept_at`; "" is outside the territory."""

    name: str
    title: str
    kept_at: str
    every_seconds: int


@dataclass(frozen=True)
class Event:
    """Something declared that takes whole zones and single nodes away together."""

    name: str
    title: str
    zones: tuple[str, ...] = ()
    nodes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Territory:
    """`own_backup`: whether each node also backs itself up (`implicit.with_implicit`). `lease_seconds`: for how long a
    lease holder may be silent before another takes over; brokers and lease holders must agree on it, so it is signed.
    `hand_back`: between which local times a service goes back to its origin by itself, or "never". `contact`: the
    person or office that people write to, as pages show it, "" for none. `duty`: who answers alerts in which week; it
    is not signed."""

    name: str
    title: str
    timezone: str = "Europe/Paris"
    own_backup: bool = True
    lease_seconds: int = LEASE_SECONDS
    hand_back: str = HAND_BACK
    contact: str = ""
    zones: Mapping[str, Zone] = field(default_factory=dict)
    links: Mapping[str, Link] = field(default_factory=dict)
    sites: Mapping[str, Site] = field(default_factory=dict)
    nodes: Mapping[str, Node] = field(default_factory=dict)
    services: Mapping[str, Service] = field(default_factory=dict)
    people: Mapping[str, Person] = field(default_factory=dict)
    external: Mapping[str, ExternalPeer] = field(default_factory=dict)
    offline: Mapping[str, OfflineDisk] = field(default_factory=dict)
    events: Mapping[str, Event] = field(default_factory=dict)
    duty: Roster = field(default=Roster(), compare=False, metadata={"apart": True})

    @property
    def domain(self) -> str:
        """Under which nodes have names for TLS; ICANN keeps `internal` for private use."""
        return f"{self.name}.internal"

    def node(self, name: str) -> Node:
        """The node `name`; raise NotFound with the known ones."""
        return _named(self.nodes, name, "node")

    def service(self, name: str) -> Service:
        """The service `name`; raise NotFound with the known ones."""
        return _named(self.services, name, "service")

    def zones_of(self, node: str) -> frozenset[str]:
        """Names of every zone of `node`: its site's and its own."""
        return self._zones_by_node[node]

    def conflicting(self, node: str) -> frozenset[str]:
        """Names of the nodes that share the site or a strict zone of `node`, itself included."""
        return self._conflicting[node]

    def services_of(self, node: str) -> tuple[Service, ...]:
        """The services whose origin is `node`."""
        return tuple(service for service in self.services.values() if service.node == node)

    def nodes_in(self, zones: Collection[str]) -> frozenset[str]:
        """Names of the nodes in any of `zones`."""
        return frozenset(name for name, of_node in self._zones_by_node.items() if not of_node.isdisjoint(zones))

    def trusted(self, service: str) -> tuple[str, ...]:
        """The nodes that may know the key of `service`: its origin and its standbys."""
        found = self.service(service)
        return (found.node, *found.standbys)

    @cached_property
    def _zones_by_node(self) -> dict[str, frozenset[str]]:
        return {node.name: frozenset((*self.sites[node.site].zones, *node.zones)) for node in self.nodes.values()}

    @cached_property
    def _conflicting(self) -> dict[str, frozenset[str]]:
        strict = {zone.name: self.nodes_in((zone.name,)) for zone in self.zones.values() if not zone.tolerated}
        of_site: dict[str, set[str]] = {}
        for node in self.nodes.values():
            of_site.setdefault(node.site, set()).add(node.name)
        return {
            name: frozenset(of_site[self.nodes[name].site]).union(*(strict[zone] for zone in zones if zone in strict))
            for name, zones in self._zones_by_node.items()
        }


def _named[Thing](things: Mapping[str, Thing], name: str, what: str) -> Thing:
    if name not in things:
        raise NotFound(f'there is no {what} "{name}" in this territory; known: {", ".join(sorted(things))}.')
    return things[name]


@dataclass(frozen=True)
class Reason:
    """Why `node` was taken (as holder or spare) or refused for a service; said of the node, without full stop."""

    node: str
    accepted: bool
    why: str


@dataclass(frozen=True)
class Placement:
    """`holders` in order, standbys first; `spares` in the order in which they step in; one reason for each node."""

    service: str
    holders: tuple[str, ...]
    spares: tuple[str, ...] = ()
    reasons: tuple[Reason, ...] = ()
