"""The fields of each part of `territory.yml`. Each part is checked alone, so that one mistake hides no other."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from appliance.config.fields import (
    Address,
    Country,
    Database,
    Distinct,
    Duration,
    FolderOrFile,
    GroupName,
    Hours,
    Insee,
    LocalSchedule,
    MeshAddress,
    Name,
    Names,
    Network,
    Port,
    ShareName,
    Size,
    SshKey,
    Text,
    Timezone,
    one_of,
)
from appliance.territory.model import (
    HAND_BACK,
    KEY_ACCESS,
    LEASE_SECONDS,
    NAME,
    NODE_ROLES,
    POLICIES,
    SERVICE_KINDS,
    ZONE_KINDS,
    Retention,
    Schedule,
)
from appliance.trust.act import ACTS
from appliance.units import DAY, HOUR

COPIES_MAX = 9
WAS = f"^({NAME.pattern})?$"


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Document(Strict):
    """The whole file; the parts in it are checked one by one afterwards."""

    territory: Any
    defaults: Any = None
    zones: Any = None
    links: Any
    sites: Any
    services: Any = None
    people: Any = None
    external: Any = None
    offline: Any = None
    events: Any = None


class TerritoryPart(Strict):
    name: Name
    title: Text
    timezone: Timezone = "Europe/Paris"
    own_backup: bool = True
    lease_seconds: Annotated[int, Field(ge=3, le=60)] = LEASE_SECONDS
    hand_back: Hours = HAND_BACK
    contact: Annotated[str, Field(max_length=200)] = ""


class DefaultsPart(Strict):
    """The values that every node and every service has unless it says otherwise."""

    node: dict[str, Any] = {}
    service: dict[str, Any] = {}


class ZonePart(Strict):
    kind: Annotated[str, one_of(*ZONE_KINDS)]
    title: Text
    warning: Duration = 0
    tolerated: bool = False


class LinkPart(Strict):
    title: Text
    up_mbit_per_second: Annotated[float, Field(gt=0)]
    down_mbit_per_second: Annotated[float, Field(gt=0)]
    metered: bool = False


class SitePart(Strict):
    title: Text
    zones: Names = []
    insee: Insee = ""
    population: Annotated[int, Field(ge=0)] = 0
    latitude: Annotated[float, Field(ge=-90, le=90)] = 0.0
    longitude: Annotated[float, Field(ge=-180, le=180)] = 0.0
    lan: Annotated[list[Network], Distinct] = []
    nodes: Any = None


class NodePart(Strict):
    name: Name
    address: Address
    port: Port = 22
    disk: Size
    offered: Size = 0
    uplink: str
    fallback: str = ""
    push_mbit_per_second_max: Annotated[float, Field(ge=0)] = 0.0
    mesh: MeshAddress = ""
    mesh_port: Annotated[int, Field(ge=0, le=65535)] = 51820
    broker_port: Port = 7412
    roles: Annotated[list[Annotated[str, one_of(*NODE_ROLES)]], Distinct] = []
    zones: Names = []


class RetentionPart(Strict):
    hourly: Annotated[int, Field(ge=0)] = Retention.hourly
    daily: Annotated[int, Field(ge=0)] = Retention.daily
    weekly: Annotated[int, Field(ge=0)] = Retention.weekly
    monthly: Annotated[int, Field(ge=0)] = Retention.monthly
    yearly: Annotated[int, Field(ge=0)] = Retention.yearly


class ServicePart(Strict):
    node: str
    was: Annotated[str, Field(pattern=WAS)] = ""
    kind: Annotated[str, one_of(*SERVICE_KINDS)] = "files"
    title: str = ""
    paths: Annotated[list[FolderOrFile], Distinct] = []
    exclude: Annotated[list[Text], Distinct] = []
    database: Database = ""
    share: ShareName = ""
    share_groups: Annotated[list[GroupName], Distinct] = []
    address: MeshAddress = ""
    copies: Annotated[int, Field(ge=1, le=COPIES_MAX)] = 2
    standbys: Names = []
    key_access: Annotated[str, one_of(*KEY_ACCESS)] = "hot"
    policy: Annotated[str, one_of(*POLICIES)] = "local-first"
    external: Names = []
    offline: Names = []
    size: Size
    change_per_day: Size
    quota: Size = 0
    rpo: Duration = DAY
    rto: Duration = 4 * HOUR
    schedule: LocalSchedule = Schedule(daily_at="21:00")
    lock: Duration = 30 * DAY
    retention: RetentionPart = RetentionPart()


class PersonPart(Strict):
    title: Text
    keys: Annotated[list[SshKey], Distinct] = []
    may: Annotated[list[Annotated[str, one_of(*ACTS)]], Distinct] = []
    sites: Names = []


class ExternalPart(Strict):
    title: Text
    country: Country
    address: Address
    port: Port = 22
    territory_can_log_in: bool = False


class OfflinePart(Strict):
    title: Text
    kept_at: str
    every: Duration


class EventPart(Strict):
    title: Text
    zones: Names = []
    nodes: Names = []
