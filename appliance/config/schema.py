"""The fields of each part of `territory.yml`. Each part is checked alone, so that one mistake hides no other."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from appliance.config.fields import (
    RATE_MAX,
    Address,
    Country,
    Distinct,
    Duration,
    Hours,
    Insee,
    LocalTime,
    MeshAddress,
    Name,
    Names,
    Network,
    Port,
    Rate,
    Size,
    SshKey,
    Text,
    Timezone,
    Week,
    one_of,
    spelled,
)
from appliance.territory.duty import CHANGES_AT
from appliance.territory.model import (
    HAND_BACK,
    LEASE_SECONDS,
    NODE_ROLES,
    ZONE_KINDS,
)
from appliance.trust.act import ACTS
from appliance.units import DAY, HOUR, MINUTE

AFTER_SECONDS_MIN, AFTER_SECONDS_MAX = 5 * MINUTE, DAY
"""Alertmanager looks at a group every five minutes, and tells it again after a week; six persons are called before."""


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Document(Strict, title="The file"):
    """One mapping with these sections."""

    territory: Any = Field(description="Name and general settings.")
    defaults: Any = Field(None, description="Defaults of nodes and services.")
    zones: Any = Field(None, description="Failure domains.")
    links: Any = Field(description="Kinds of link.")
    sites: Any = Field(description="Buildings and their nodes.")
    services: Any = Field(None, description="Services to back up.")
    people: Any = Field(None, description="People who may sign acts, and who answer alerts.")
    duty: Any = Field(None, description="The person who answers alerts, week by week.")
    external: Any = Field(None, description="Peers outside the territory.")
    offline: Any = Field(None, description="Disks that are plugged in from time to time.")
    events: Any = Field(None, description="Events.")


class TerritoryPart(Strict, title="territory"):
    """The name of the territory and its general settings."""

    name: Name = Field(description="Its name in commands and files.")
    title: Text = Field(description="Its name for people.")
    timezone: Timezone = Field("Europe/Paris", description="Schedules are local to it; everything stored is UTC.")
    own_backup: bool = Field(
        True,
        description="Whether each node also backs up its own state: its bundle, journal, acts and chains, never its "
        "keys. That service is called `appliance-NODE`.",
    )
    lease_seconds: Annotated[int, Field(ge=3, le=60)] = Field(
        LEASE_SECONDS,
        description="How long the lease holder of a service may be silent before another node takes over; all other "
        "timers of failover follow from it.",
    )
    hand_back: Hours = Field(
        HAND_BACK,
        description="The local hours in which a service is handed back to its origin automatically, once the origin "
        "has been caught up for five minutes; `never` leaves it to `failover handback`.",
    )
    contact: Annotated[str, Field(max_length=200)] = Field(
        "",
        description="The contact for people who cannot use one of the pages; the declaration of accessibility shows "
        "it, as the law requires.",
    )


class DefaultsPart(Strict, title="defaults"):
    """Settings for all nodes and services; a node or a service may override each."""

    node: dict[str, Any] = Field({}, description="Settings of a node.")
    service: dict[str, Any] = Field({}, description="Settings of a service.")


class ZonePart(Strict, title="zones"):
    """Failure domains by name: sites that may be lost together. Two copies are never placed in one, and none in one of
    the origin's, unless the zone is `tolerated`."""

    kind: Annotated[str, one_of(*ZONE_KINDS)] = Field(description=f"One of {spelled(ZONE_KINDS)}.")
    title: Text = Field(description="Its name for people.")
    warning: Duration = Field(0, description="How long ahead its loss is announced, such as a flood.")
    tolerated: bool = Field(False, description="Two copies may be in it; placement only prefers to avoid that.")


class LinkPart(Strict, title="links"):
    """Kinds of link by name; a name may begin with a digit here, such as `4g`."""

    title: Text = Field(description="Its name for people.")
    up_mbit_per_second: Rate = Field(
        description="The upload rate of the contract, in Mbit/s; it gives the hours of a first seeding.",
    )
    down_mbit_per_second: Rate = Field(
        description="*Later.* The download rate of the contract, in Mbit/s.",
    )
    metered: bool = Field(
        False,
        description="Whether traffic is charged by volume: `territory plan` proposes other nodes as voters first.",
    )


class SitePart(Strict, title="sites"):
    """Buildings by name. Two nodes of one site always share a failure domain."""

    title: Text = Field(description="Its name for people.")
    zones: Names = Field([], description="Its failure domains.")
    insee: Insee = Field("", description="INSEE code of the commune, for maps and lists.")
    population: Annotated[int, Field(ge=0)] = Field(0, description="Inhabitants, for maps and lists.")
    latitude: Annotated[float, Field(ge=-90, le=90)] = Field(0.0, description="Degrees north, for maps.")
    longitude: Annotated[float, Field(ge=-180, le=180)] = Field(0.0, description="Degrees east, for maps.")
    lan: Annotated[list[Network], Distinct] = Field(
        [],
        description="Networks of its PCs, such as `192.168.1.0/24`: its shares can be reached only from there.",
    )
    nodes: Any = Field(None, description="Its machines.")


class NodePart(Strict, title="sites > SITE > nodes"):
    """The machines of a site, a list."""

    name: Name = Field(description="Its name, the same as in `node init`.")
    address: Address = Field(description="The address at which its peers reach it: IP address or host name.")
    port: Port = Field(22, description="Port of its sshd, at `mesh` if it has one.")
    disk: Size = Field(description="Size of its disk.")
    offered: Size = Field(0, description="How much of it is offered to replicas of others; placement never exceeds it.")
    uplink: str = Field(description="Its link, one of `links`.")
    fallback: str = Field("", description="*Later.* Its second link, one of `links`.")
    push_mbit_per_second_max: Annotated[float, Field(ge=0, le=RATE_MAX)] = Field(
        0.0,
        description="What one run may send in Mbit/s, to all its peers together, so that the town hall can use its "
        "link while a first seeding lasts for days; 0 means no limit.",
    )
    mesh: MeshAddress = Field(
        "",
        description="Its IPv4 address inside the territory's WireGuard network; peers then reach its sshd there. "
        "Either all nodes have one, or none.",
    )
    mesh_port: Annotated[int, Field(ge=0, le=65535)] = Field(
        51820,
        description="The UDP port at `address` for WireGuard; 0 for a site behind a carrier's NAT, which others "
        "reach through a relay.",
    )
    broker_port: Port = Field(
        7412,
        description="The TCP port of its broker, if it is a `voter`; at `mesh` if it has one.",
    )
    roles: Annotated[list[Annotated[str, one_of(*NODE_ROLES)]], Distinct] = Field(
        [],
        description=f"Any of {spelled(NODE_ROLES)}. `control` keeps a copy of the control folder and reaches every "
        "node by SSH; `standby` is the preferred leader of the voters, and relays in the mesh between nodes behind "
        "NAT; both may move any service; `voter`s record the lease holder of each service: none, 3 or 5, in distinct "
        "failure domains; `monitor` watches all nodes and may ask every vault for its head, one or two at different "
        "sites; `mirror`, on one node, provides Debian's packages to the others.",
    )
    zones: Names = Field([], description="Failure domains in addition to those of its site.")


class PersonPart(Strict, title="people"):
    """People who may sign acts, and who answer alerts, by name."""

    title: Text = Field(description="Their name or office.")
    keys: Annotated[list[SshKey], Distinct] = Field(
        [],
        description="SSH public keys of this person alone; hardware keys work.",
    )
    may: Annotated[list[Annotated[str, one_of(*ACTS)]], Distinct] = Field(
        [],
        description=f"The acts this person may sign, of {spelled(ACTS)}.",
    )
    sites: Names = Field([], description="*Later.* The sites for which this person may sign; all sites when empty.")
    root_keys: Annotated[list[SshKey], Distinct] = Field(
        [],
        description="SSH public keys of this person alone that log in as root on every node; `site.yml` installs and "
        "removes them.",
    )
    addressees: Annotated[Names, Field(max_length=8)] = Field(
        [],
        description="The names in `monitoring_addressees` under which this person gets alerts in their duty weeks. "
        "It is not signed.",
    )
    touches: Names = Field(
        [],
        description="The sites and nodes whose boxes this person can touch; all when empty. An alert about another "
        "box goes first to somebody who can touch it. It is not signed.",
    )


class DutyPart(Strict, title="duty"):
    """The persons who answer alerts, week by week. An alert goes to the person on duty, and while it lasts to the next
    one. It is not signed: a change of weeks does not need the territory key."""

    rotation: Names = Field(
        [],
        description="Persons who take a week each in turn.",
    )
    since: Week = Field(
        "",
        description="The ISO week in which the first person of `rotation` begins, such as `2026-W49`.",
    )
    weeks: Annotated[dict[Week, Names], Field(max_length=1000)] = Field(
        {},
        description="The persons of single weeks, such as `2026-W52: [alice, bob]`, who count before `rotation`; "
        "the first is called first.",
    )
    changes_at: LocalTime = Field(
        CHANGES_AT,
        description="The local time on Monday at which a duty week begins.",
    )
    next_after: Duration = Field(
        30 * MINUTE,
        description="How long after one person the next one is called for an urgent alert that still lasts. "
        "*Later:* unless somebody acknowledged it.",
    )
    next_after_warning: Duration = Field(
        8 * HOUR,
        description="The same for every other alert.",
    )


class ExternalPart(Strict, title="external"):
    """Peers outside the territory, by name. *Later.* `territory plan` lists them; nothing is sent there yet."""

    title: Text = Field(description="Its name for people.")
    country: Country = Field(description="Its country, two capital letters.")
    address: Address = Field(description="IP address or host name.")
    port: Port = Field(22, description="Port of its sshd.")
    territory_can_log_in: bool = Field(
        False,
        description="With `yes`, it is lost with the control machine, and `territory plan` says so.",
    )


class OfflinePart(Strict, title="offline"):
    """Disks that are plugged in from time to time, by name. *Later.* `territory plan` lists them; nothing is written
    there yet."""

    title: Text = Field(description="Its name for people.")
    kept_at: str = Field(description="The site where it is kept, or `outside`.")
    every: Duration = Field(description="How often it is plugged in at least, which bounds the age of its copy.")


class EventPart(Strict, title="events"):
    """Events, by name; `territory plan` says what each leaves of every service. The loss of each zone, site, node and
    pair of nodes, the loss of the whole territory and a compromised control machine need no declaration."""

    title: Text = Field(description="Its name for people.")
    zones: Names = Field([], description="The failure domains that it destroys together.")
    nodes: Names = Field([], description="Other nodes that it destroys.")
