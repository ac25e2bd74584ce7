"""From checked parts to the model of the territory."""

from __future__ import annotations

from typing import Any

from appliance.backup.chain.growth import default_quota
from appliance.config import schema
from appliance.config.parts import Parts, Placed
from appliance.config.references import OUTSIDE
from appliance.config.service_schema import ServicePart
from appliance.territory import duty, model

MEGABIT = 1_000_000


def build(parts: Parts, head: schema.TerritoryPart) -> model.Territory:
    """The territory that `parts` describe; their references must hold."""
    return model.Territory(
        name=head.name,
        title=head.title,
        timezone=head.timezone,
        own_backup=head.own_backup,
        lease_seconds=head.lease_seconds,
        hand_back=head.hand_back,
        contact=head.contact,
        zones={it.name: _zone(it) for it in parts.zones},
        links={it.name: _link(it) for it in parts.links},
        sites={it.name: _site(it) for it in parts.sites},
        nodes={it.name: _node(it) for it in parts.nodes},
        services={it.name: _service(it) for it in parts.services},
        people={it.name: model.Person(it.name, **_tuples(it.part)) for it in parts.people},
        external={it.name: model.ExternalPeer(it.name, **_tuples(it.part)) for it in parts.external},
        offline={it.name: _disk(it) for it in parts.offline},
        events={it.name: model.Event(it.name, **_tuples(it.part)) for it in parts.events},
        duty=_roster(parts.duty.part) if parts.duty else duty.Roster(),
    )


def _tuples(part: schema.Strict, *left_out: str) -> dict[str, Any]:
    """The fields of `part` as the model names them, lists as tuples."""
    fields = {name: value for name, value in part if name not in left_out}
    return {name: tuple(value) if isinstance(value, list) else value for name, value in fields.items()}


def _zone(it: Placed[schema.ZonePart]) -> model.Zone:
    return model.Zone(it.name, warning_seconds=it.part.warning, **_tuples(it.part, "warning"))


def _link(it: Placed[schema.LinkPart]) -> model.Link:
    return model.Link(
        it.name,
        it.part.title,
        up_bits_per_second=round(it.part.up_mbit_per_second * MEGABIT),
        down_bits_per_second=round(it.part.down_mbit_per_second * MEGABIT),
        metered=it.part.metered,
    )


def _site(it: Placed[schema.SitePart]) -> model.Site:
    return model.Site(
        it.name,
        latitude_microdegrees=round(it.part.latitude * model.MICRODEGREES),
        longitude_microdegrees=round(it.part.longitude * model.MICRODEGREES),
        **_tuples(it.part, "latitude", "longitude", "nodes"),
    )


def _node(it: Placed[schema.NodePart]) -> model.Node:
    return model.Node(
        site=str(it.path[1]),
        disk_bytes=it.part.disk,
        offered_bytes=it.part.offered,
        push_bits_per_second_max=round(it.part.push_mbit_per_second_max * MEGABIT),
        **_tuples(it.part, "disk", "offered", "push_mbit_per_second_max"),
    )


def _service(it: Placed[ServicePart]) -> model.Service:
    part = it.part
    retention = model.Retention(**_tuples(part.retention))
    size, change = part.size, part.change_per_day
    default = default_quota(size.bytes, change.bytes, part.lock, retention, part.schedule)
    return model.Service(
        it.name,
        size_bytes=size.bytes,
        change_bytes_per_day=change.bytes,
        guessed=tuple(name for name, it in (("size", size), ("change_per_day", change)) if it.guessed),
        quota_bytes=part.quota or default,
        rpo_seconds=part.rpo,
        rto_seconds=part.rto,
        lock_seconds=part.lock,
        retention=retention,
        **_tuples(part, "was", "size", "change_per_day", "quota", "rpo", "rto", "lock", "retention"),
    )


def _disk(it: Placed[schema.OfflinePart]) -> model.OfflineDisk:
    kept_at = "" if it.part.kept_at == OUTSIDE else it.part.kept_at
    return model.OfflineDisk(it.name, it.part.title, kept_at, every_seconds=it.part.every)


def _roster(part: schema.DutyPart) -> duty.Roster:
    return duty.Roster(
        rotation=tuple(part.rotation),
        since=part.since,
        weeks={week: tuple(persons) for week, persons in sorted(part.weeks.items())},
        changes_at=part.changes_at,
        urgent_after_seconds=part.next_after,
        other_after_seconds=part.next_after_warning,
    )
