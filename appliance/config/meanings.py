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
    schema.TerritoryPart: ("territory", "What the whole is called."),
    schema.DefaultsPart: (
        "defaults",
        "Written once instead of in each node and each service; what one of these says itself counts.",
    ),
    schema.ZonePart: (
        "zones",
        "Failure domains by name: what may be lost together. Two copies are never placed in one, and none in one of "
        "the origin's, unless the zone is `tolerated`.",
    ),
    schema.LinkPart: ("links", "Kinds of line by name; a name may begin with a digit here, such as `4g`."),
    schema.SitePart: ("sites", "Buildings by name. Two nodes of one site always share a failure domain."),
    schema.NodePart: ("sites > SITE > nodes", "The machines of a site, a list."),
    schema.ServicePart: ("services", "What is backed up, by name: each is one repository of one node."),
    schema.RetentionPart: (
        "services > SERVICE > retention",
        "How many archives the writer's own repository keeps, by `appliance backup tidy` and the agent. What peers "
        "keep is theirs to decide: everything younger than `lock`, then less and less.",
    ),
    schema.PersonPart: ("people", "Who may sign acts, by name."),
    schema.ExternalPart: (
        "external",
        f"Peers outside the territory, by name. {LATER}`territory plan` names them; nothing is sent there yet.",
    ),
    schema.OfflinePart: (
        "offline",
        f"Disks plugged in now and then, by name. {LATER}`territory plan` names them; nothing is written there yet.",
    ),
    schema.EventPart: (
        "events",
        "What may happen, by name; `territory plan` says what each leaves of every service. Each zone, site, node and "
        "pair of nodes lost, the whole territory lost and the control machine in wrong hands are judged undeclared.",
    ),
}

MEANINGS: Mapping[type[BaseModel], Mapping[str, str]] = {
    schema.Document: {
        "territory": "What it is called.",
        "defaults": "What every node and every service has unless it says otherwise.",
        "zones": "Failure domains.",
        "links": "Kinds of line.",
        "sites": "Buildings and their nodes.",
        "services": "What is backed up.",
        "people": "Who may sign acts.",
        "external": "Peers outside the territory.",
        "offline": "Disks that are plugged in now and then.",
        "events": "What may happen.",
    },
    schema.TerritoryPart: {
        "name": "Its name in commands and files.",
        "title": "Its name for people.",
        "timezone": "Schedules are local to it; everything stored is UTC.",
        "own_backup": "Whether each node also backs up what it knows of itself: its bundle, journal, acts and chains, "
        "never its keys. That service is called `appliance-NODE`.",
        "lease_seconds": "For how long the holder of a service may be silent before another node takes over; all other "
        "times of failover follow from it.",
        "hand_back": "Between which local times a service that another node serves goes home by itself, once its home "
        "has been caught up for five minutes; `never` leaves it to `appliance failover handback`.",
        "contact": "Whom people write to or call when a page of the portal is a problem for them; it stands in the "
        "declaration of accessibility, which the law wants to name somebody.",
    },
    schema.DefaultsPart: {
        "node": "Settings of a node.",
        "service": "Settings of a service.",
    },
    schema.ZonePart: {
        "kind": f"One of {_words(ZONE_KINDS)}.",
        "title": "What people call it.",
        "warning": "How long ahead its loss is announced, such as a flood.",
        "tolerated": "Two copies may be in it; placement only prefers to avoid that.",
    },
    schema.LinkPart: {
        "title": "What people call it.",
        "up_mbit_per_second": "What the provider sells, in Mbit/s; from it come the hours of a first seeding.",
        "down_mbit_per_second": f"{LATER}The same, downwards.",
        "metered": "Whether traffic is paid by volume: `territory plan` proposes other nodes as voters first.",
    },
    schema.SitePart: {
        "title": "What people call it.",
        "zones": "The failure domains that it lies in.",
        "insee": "INSEE code of the commune, for maps and lists.",
        "population": "Inhabitants, for maps and lists.",
        "latitude": "Degrees north, for maps.",
        "longitude": "Degrees east, for maps.",
        "lan": "Networks of its PCs, such as `192.168.1.0/24`: from nowhere else are its shares reached.",
        "nodes": "Its machines.",
    },
    schema.NodePart: {
        "name": "Its name, the same as in `appliance node init`.",
        "address": "Where its peers reach it: IP address or host name.",
        "port": "Port of its sshd, at `mesh` where there is one.",
        "disk": "Size of its disk.",
        "offered": "How much of it is lent to the copies of others; placement never goes beyond.",
        "uplink": "Its line, one of `links`.",
        "fallback": f"{LATER}Its second line, one of `links`.",
        "push_mbit_per_second_max": "What one run may send in Mbit/s, to all its peers together, so that the town "
        "hall keeps its line while a first seeding lasts for days; 0 is no limit.",
        "mesh": "Its IPv4 address inside the territory's WireGuard network; peers then reach its sshd there. All nodes "
        "have one, or none.",
        "mesh_port": "The UDP port at `address` that takes WireGuard's packets; 0 for a site behind a carrier's NAT, "
        "which others reach through a relay.",
        "broker_port": "The TCP port of its broker, where it is a `voter`; at `mesh` where there is one.",
        "roles": f"Any of {_words(NODE_ROLES)}. `control` keeps a copy of the control folder and comes to every node "
        "by SSH; `standby` is where voters keep the lead, and in the mesh hands on between nodes behind NAT; both may "
        "move any service; `voter`s agree on who holds a service: none, 3 or 5, in distinct failure domains; `monitor` "
        "watches all nodes and may ask every vault for its head, one or two at different sites; `mirror`, on one node, "
        "keeps Debian's packages for the others.",
        "zones": "Failure domains on top of its site's.",
    },
    schema.ServicePart: {
        "node": "Its origin: the node whose data it is.",
        "was": "Its first name, where the one in the file was changed: it keeps its history, copies and key. What "
        "is signed and stored goes on under the first name; commands take both. It stays. Not in one step with `node`.",
        "kind": f"One of {_words(SERVICE_KINDS)}: folders, or a database that is dumped consistently first.",
        "title": "What people call it.",
        "paths": "For `files` the folders, for `sqlite` the database files, absolute.",
        "exclude": "What is left out: a pattern without `/` at any depth (`*.tmp`, `Corbeille`), one with `/` from "
        "each of `paths` on (`cache/*`, `**/brouillons/*.bak`). Everything else is in, new data too.",
        "database": "For `postgresql`, the name of the database.",
        "share": "For `files`: what PCs of the site call it, such as `Documents`. Its one folder lies directly in "
        f"`{SHARES}`.",
        "share_groups": "Groups of accounts that may enter; without it everybody who has an account at the node.",
        "address": "Its own IPv4 address in the mesh, such as 10.64.8.1, at which the node that the voters name serves "
        "it: a share of `files`, besides at home; any other folder of `files`, directly in "
        f"`{SITES}`, as a site; the database of `postgresql`, which is then `exclusive`, at port 5432.",
        "copies": "How many copies in distinct failure domains are promised; the origin's own never counts. 9 at most.",
        "standbys": "Nodes trusted with its key; they hold the first copies.",
        "key_access": f"One of {_words(KEY_ACCESS)}. With `sealed` the agent of a standby opens nothing by itself, "
        "so nothing that has an `address` is; that a person there needs a signed act comes later.",
        "policy": f"One of {_words(POLICIES)}: who may write it while the origin is cut off. On hosts it is obeyed "
        "where the service has an `address`.",
        "external": f"{LATER}Names of `external` peers that shall hold it.",
        "offline": f"{LATER}Names of `offline` disks that shall hold it.",
        "size": "How large it is: for quota, seeding and the limits of its holders.",
        "change_per_day": "How much is new in a day, as a rule; a holder takes five times that, at least 1 GiB.",
        "quota": "What it may fill at each holder. Without it: what holders must keep by both retentions at twice the "
        "declared change, such that it fits into 70 %. Of a smaller one `territory check` says when it is full.",
        "rpo": "How old the newest safe generation may be; `appliance status` warns at 1.5 times it, fails at 3 times.",
        "rto": "How soon it shall be served again after a loss: a drill that brings everything back and takes longer "
        "says so.",
        "schedule": "When it is backed up: a local time such as `21:30`, or `every 4 h` (168 h at most).",
        "lock": "How long a holder keeps every generation, whatever anybody asks; by the holder's own ageing clock.",
        "retention": "What the writer's own repository keeps.",
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
        "keys": "SSH public keys of this person alone; hardware keys serve.",
        "may": f"The acts this person may sign, of {_words(ACTS)}.",
        "sites": f"{LATER}Where, all sites when empty.",
    },
    schema.ExternalPart: {
        "title": "What people call it.",
        "country": "Where it is, two capital letters.",
        "address": "IP address or host name.",
        "port": "Port of its sshd.",
        "territory_can_log_in": "With `yes` it falls with the control machine, and `territory plan` says so.",
    },
    schema.OfflinePart: {
        "title": "What people call it.",
        "kept_at": "The site where it lies, or `outside`.",
        "every": "How often it is plugged in at least: how old its copy may be.",
    },
    schema.EventPart: {
        "title": "What people call it.",
        "zones": "The failure domains that it takes, together.",
        "nodes": "Nodes that it takes besides.",
    },
}
