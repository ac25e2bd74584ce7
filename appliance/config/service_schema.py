"""The fields of a service in `territory.yml`, as `schema` has those of all other parts."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from appliance.config.fields import (
    Database,
    DeclaredSize,
    Distinct,
    Duration,
    FolderOrFile,
    GroupName,
    LocalSchedule,
    MeshAddress,
    Names,
    ShareName,
    Size,
    Text,
    one_of,
    spelled,
)
from appliance.config.schema import Strict
from appliance.territory.model import KEY_ACCESS, NAME, POLICIES, SERVICE_KINDS, SHARES, SITES, Retention, Schedule
from appliance.units import DAY, HOUR

COPIES_MAX = 9
WAS = f"^({NAME.pattern})?$"


class RetentionPart(Strict, title="services > SERVICE > retention"):
    """How many archives the writer's own repository keeps, by `appliance backup prune` and the agent. Peers decide on
    their replicas themselves: they keep everything younger than `lock`, then less and less."""

    hourly: Annotated[int, Field(ge=0)] = Field(Retention.hourly, description="One archive of each of that many hours.")
    daily: Annotated[int, Field(ge=0)] = Field(Retention.daily, description="One of each of that many days.")
    weekly: Annotated[int, Field(ge=0)] = Field(Retention.weekly, description="One of each of that many weeks.")
    monthly: Annotated[int, Field(ge=0)] = Field(Retention.monthly, description="One of each of that many months.")
    yearly: Annotated[int, Field(ge=0)] = Field(Retention.yearly, description="One of each of that many years.")


class ServicePart(Strict, title="services"):
    """Services to back up, by name; each has one repository, of one node."""

    node: str = Field(description="Its origin: the node that owns the data.")
    was: Annotated[str, Field(pattern=WAS)] = Field(
        "",
        description="Its first name, if the one in the file was changed: it keeps its history, copies and key. "
        "Signed and stored data continues under the first name; commands accept both. Keep this line for ever. Do "
        "not change it together with `node`.",
    )
    kind: Annotated[str, one_of(*SERVICE_KINDS)] = Field(
        "files",
        description=f"One of {spelled(SERVICE_KINDS)}: folders, or a database that is dumped consistently first.",
    )
    title: str = Field("", description="Its name for people.")
    paths: Annotated[list[FolderOrFile], Distinct] = Field(
        [],
        description="For `files` the folders, for `sqlite` the database files, absolute.",
    )
    exclude: Annotated[list[Text], Distinct] = Field(
        [],
        description="Patterns to exclude: one without `/` at any depth (`*.tmp`, `Corbeille`), one with `/` from "
        "each of `paths` on (`cache/*`, `**/brouillons/*.bak`). Everything else is included, also new data.",
    )
    database: Database = Field("", description="For `postgresql`, the name of the database.")
    share: ShareName = Field(
        "",
        description="For `files`: the name of the share on PCs of the site, such as `Documents`. Its one folder must "
        f"be directly in `{SHARES}`.",
    )
    share_groups: Annotated[list[GroupName], Distinct] = Field(
        [],
        description="Groups of accounts that may open the share; by default every account at the node.",
    )
    address: MeshAddress = Field(
        "",
        description="Its own IPv4 address in the mesh, such as 10.64.8.1, at which its lease holder serves it: a "
        f"share of `files`, in addition to its origin; any other folder of `files`, directly in `{SITES}`, as a site; "
        "the database of `postgresql`, which is then `exclusive`, at port 5432.",
    )
    copies: Annotated[int, Field(ge=1, le=COPIES_MAX)] = Field(
        2,
        description="How many copies in distinct failure domains are promised; the origin's own never counts. At "
        "most 9.",
    )
    standbys: Names = Field([], description="Nodes trusted with its key; they hold the first copies.")
    key_access: Annotated[str, one_of(*KEY_ACCESS)] = Field(
        "hot",
        description=f"One of {spelled(KEY_ACCESS)}. With `sealed`, the agent of a standby opens nothing by itself, so "
        "a service with an `address` cannot be `sealed`; that a person there needs a signed act comes later.",
    )
    policy: Annotated[str, one_of(*POLICIES)] = Field(
        "local-first",
        description=f"One of {spelled(POLICIES)}: which node may write it while the origin is cut off. On hosts it "
        "applies if the service has an `address`.",
    )
    external: Names = Field([], description="*Later.* Names of `external` peers that must hold it.")
    offline: Names = Field([], description="*Later.* Names of `offline` disks that must hold it.")
    size: DeclaredSize = Field(
        description="Its size: for quota, seeding and the limits of its replica nodes. With `~` before it, such as "
        "`~80G`, it is a guess.",
    )
    change_per_day: DeclaredSize = Field(
        description="How much usually changes in a day; a replica node accepts five times that, at least 1 GiB. With "
        "`~` before it, it is a guess.",
    )
    quota: Size = Field(
        0,
        description="The space that it may fill at each replica node. The default is what replica nodes must keep by "
        "both retentions at twice the declared change, such that it fits into 70 %. For a smaller one, `territory "
        "check` says when it is full.",
    )
    rpo: Duration = Field(
        DAY,
        description="How old the newest safe generation may be; `appliance status` warns at 1.5 times it, fails at 3 "
        "times.",
    )
    rto: Duration = Field(
        4 * HOUR,
        description="How soon it must be served again after a loss: a drill that restores everything and takes "
        "longer reports it.",
    )
    schedule: LocalSchedule = Field(
        Schedule(daily_at="21:00"),
        description="When to back it up: a local time such as `21:30`, `every 4 h` (at most 168 h) or `every 15 min` "
        "(no less).",
    )
    lock: Duration = Field(
        30 * DAY,
        description="How long a replica node keeps every generation, whatever any caller asks; by its own ageing "
        "clock.",
    )
    retention: RetentionPart = Field(
        RetentionPart(),
        description="The archives that the writer's own repository keeps.",
    )
