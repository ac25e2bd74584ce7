"""One sentence for each setting of `territory.yml`, for its page; `schema` says what may stand there."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel

from appliance.config import schema
from appliance.territory.model import KEY_ACCESS, NODE_ROLES, POLICIES, SERVICE_KINDS, SHARES, SITES, ZONE_KINDS
from appliance.trust.act import ACTS

LATER = "*Later.* "


def _words(known: tuple[str, ...]) -> str:
    return ", ".join(f"`{word}`" for word in known)


SECTIONS: Mapping[type[BaseModel], tuple[str, str]] = {
    schema.Document: ("The file", "One mapping with these sections; each is described below."),
    schema.TerritoryPart: ("territory", "The name of the territory and its general settings."),
    schema.DefaultsPart: (
        "defaults",
        "Settings for all nodes and services; a node or a service may override each.",
    ),
    schema.ZonePart: (
        "zones",
        "Failure domains by name: sites that may be lost together. Two copies are never placed in one, and none in "
        "one of the origin's, unless the zone is `tolerated`.",
    ),
    schema.LinkPart: ("links", "Kinds of link by name; a name may begin with a digit here, such as `4g`."),
    schema.SitePart: ("sites", "Buildings by name. Two nodes of one site always share a failure domain."),
    schema.NodePart: ("sites > SITE > nodes", "The machines of a site, a list."),
    schema.ServicePart: ("services", "What is backed up, by name: each is one repository of one node."),
    schema.RetentionPart: (
        "services > SERVICE > retention",
        "How many archives the writer's own repository keeps, by `appliance backup prune` and the agent. Peers decide "
        "on their replicas themselves: they keep everything younger than `lock`, then less and less.",
    ),
    schema.PersonPart: ("people", "People who may sign acts, by name."),
    schema.ExternalPart: (
        "external",
        f"Peers outside the territory, by name. {LATER}`territory plan` lists them; nothing is sent there yet.",
    ),
    schema.OfflinePart: (
        "offline",
        f"Disks that are plugged in from time to time, by name. {LATER}`territory plan` lists them; nothing is "
        "written there yet.",
    ),
    schema.EventPart: (
        "events",
        "Events, by name; `territory plan` says what each leaves of every service. The loss of each zone, site, node "
        "and pair of nodes, the loss of the whole territory and a compromised control machine need no declaration.",
    ),
}

MEANINGS: Mapping[type[BaseModel], Mapping[str, str]] = {
    schema.Document: {
        "territory": "Name and general settings.",
        "defaults": "Defaults of nodes and services.",
        "zones": "Failure domains.",
        "links": "Kinds of link.",
        "sites": "Buildings and their nodes.",
        "services": "Services to back up.",
        "people": "People who may sign acts.",
        "external": "Peers outside the territory.",
        "offline": "Disks that are plugged in from time to time.",
        "events": "Events.",
    },
    schema.TerritoryPart: {
        "name": "Its name in commands and files.",
        "title": "Its name for people.",
        "timezone": "Schedules are local to it; everything stored is UTC.",
        "own_backup": "Whether each node also backs up its own state: its bundle, journal, acts and chains, never "
        "its keys. That service is called `appliance-NODE`.",
        "lease_seconds": "How long the lease holder of a service may be silent before another node takes over; all "
        "other timers of failover follow from it.",
        "hand_back": "The local hours in which a service is handed back to its origin automatically, once the origin "
        "has been caught up for five minutes; `never` leaves it to `appliance failover handback`.",
        "contact": "The contact for people who cannot use one of the pages; the declaration of accessibility shows "
        "it, as the law requires.",
    },
    schema.DefaultsPart: {
        "node": "Settings of a node.",
        "service": "Settings of a service.",
    },
    schema.ZonePart: {
        "kind": f"One of {_words(ZONE_KINDS)}.",
        "title": "Its name for people.",
        "warning": "How long ahead its loss is announced, such as a flood.",
        "tolerated": "Two copies may be in it; placement only prefers to avoid that.",
    },
    schema.LinkPart: {
        "title": "Its name for people.",
        "up_mbit_per_second": "The upload rate of the contract, in Mbit/s; it gives the hours of a first seeding.",
        "down_mbit_per_second": f"{LATER}The download rate of the contract, in Mbit/s.",
        "metered": "Whether traffic is charged by volume: `territory plan` proposes other nodes as voters first.",
    },
    schema.SitePart: {
        "title": "Its name for people.",
        "zones": "Its failure domains.",
        "insee": "INSEE code of the commune, for maps and lists.",
        "population": "Inhabitants, for maps and lists.",
        "latitude": "Degrees north, for maps.",
        "longitude": "Degrees east, for maps.",
        "lan": "Networks of its PCs, such as `192.168.1.0/24`: its shares can be reached only from there.",
        "nodes": "Its machines.",
    },
    schema.NodePart: {
        "name": "Its name, the same as in `appliance node init`.",
        "address": "The address at which its peers reach it: IP address or host name.",
        "port": "Port of its sshd, at `mesh` if it has one.",
        "disk": "Size of its disk.",
        "offered": "How much of it is offered to replicas of others; placement never exceeds it.",
        "uplink": "Its link, one of `links`.",
        "fallback": f"{LATER}Its second link, one of `links`.",
        "push_mbit_per_second_max": "What one run may send in Mbit/s, to all its peers together, so that the town "
        "hall can use its link while a first seeding lasts for days; 0 means no limit.",
        "mesh": "Its IPv4 address inside the territory's WireGuard network; peers then reach its sshd there. Either "
        "all nodes have one, or none.",
        "mesh_port": "The UDP port at `address` for WireGuard; 0 for a site behind a carrier's NAT, which others "
        "reach through a relay.",
        "broker_port": "The TCP port of its broker, if it is a `voter`; at `mesh` if it has one.",
        "roles": f"Any of {_words(NODE_ROLES)}. `control` keeps a copy of the control folder and reaches every node "
        "by SSH; `standby` is the preferred leader of the voters, and relays in the mesh between nodes behind "
        "NAT; both may move any service; `voter`s record the lease holder of each service: none, 3 or 5, in "
        "distinct failure domains; `monitor` watches all nodes and may ask every vault for its head, one or two "
        "at different sites; `mirror`, on one node, provides Debian's packages to the others.",
        "zones": "Failure domains in addition to those of its site.",
    },
    schema.ServicePart: {
        "node": "Its origin: the node that owns the data.",
        "was": "Its first name, if the one in the file was changed: it keeps its history, copies and key. Signed and "
        "stored data continues under the first name; commands accept both. Keep this line for ever. Do not "
        "change it together with `node`.",
        "kind": f"One of {_words(SERVICE_KINDS)}: folders, or a database that is dumped consistently first.",
        "title": "Its name for people.",
        "paths": "For `files` the folders, for `sqlite` the database files, absolute.",
        "exclude": "Patterns to exclude: one without `/` at any depth (`*.tmp`, `Corbeille`), one with `/` from each "
        "of `paths` on (`cache/*`, `**/brouillons/*.bak`). Everything else is included, also new data.",
        "database": "For `postgresql`, the name of the database.",
        "share": "For `files`: the name of the share on PCs of the site, such as `Documents`. Its one folder must be "
        f"directly in `{SHARES}`.",
        "share_groups": "Groups of accounts that may open the share; by default every account at the node.",
        "address": "Its own IPv4 address in the mesh, such as 10.64.8.1, at which its lease holder serves it: a "
        f"share of `files`, in addition to its origin; any other folder of `files`, directly in `{SITES}`, as a "
        "site; the database of `postgresql`, which is then `exclusive`, at port 5432.",
        "copies": "How many copies in distinct failure domains are promised; the origin's own never counts. At most 9.",
        "standbys": "Nodes trusted with its key; they hold the first copies.",
        "key_access": f"One of {_words(KEY_ACCESS)}. With `sealed`, the agent of a standby opens nothing by itself, "
        "so a service with an `address` cannot be `sealed`; that a person there needs a signed act comes later.",
        "policy": f"One of {_words(POLICIES)}: which node may write it while the origin is cut off. On hosts it "
        "applies if the service has an `address`.",
        "external": f"{LATER}Names of `external` peers that must hold it.",
        "offline": f"{LATER}Names of `offline` disks that must hold it.",
        "size": "Its size: for quota, seeding and the limits of its replica nodes.",
        "change_per_day": "How much usually changes in a day; a replica node accepts five times that, at least 1 GiB.",
        "quota": "The space that it may fill at each replica node. The default is what replica nodes must keep by "
        "both retentions at twice the declared change, such that it fits into 70 %. For a smaller one, "
        "`territory check` says when it is full.",
        "rpo": "How old the newest safe generation may be; `appliance status` warns at 1.5 times it, fails at 3 times.",
        "rto": "How soon it must be served again after a loss: a drill that restores everything and takes longer "
        "reports it.",
        "schedule": "When to back it up: a local time such as `21:30`, or `every 4 h` (at most 168 h).",
        "lock": "How long a replica node keeps every generation, whatever any caller asks; by its own ageing clock.",
        "retention": "The archives that the writer's own repository keeps.",
    },
    schema.RetentionPart: {
        "hourly": "One archive of each of that many hours.",
        "daily": "One of each of that many days.",
        "weekly": "One of each of that many weeks.",
        "monthly": "One of each of that many months.",
        "yearly": "One of each of that many years.",
    },
    schema.PersonPart: {
        "title": "Their name or office.",
        "keys": "SSH public keys of this person alone; hardware keys work.",
        "may": f"The acts this person may sign, of {_words(ACTS)}.",
        "sites": f"{LATER}The sites for which this person may sign; all sites when empty.",
    },
    schema.ExternalPart: {
        "title": "Its name for people.",
        "country": "Its country, two capital letters.",
        "address": "IP address or host name.",
        "port": "Port of its sshd.",
        "territory_can_log_in": "With `yes`, it is lost with the control machine, and `territory plan` says so.",
    },
    schema.OfflinePart: {
        "title": "Its name for people.",
        "kept_at": "The site where it is kept, or `outside`.",
        "every": "How often it is plugged in at least, which bounds the age of its copy.",
    },
    schema.EventPart: {
        "title": "Its name for people.",
        "zones": "The failure domains that it destroys together.",
        "nodes": "Other nodes that it destroys.",
    },
}
