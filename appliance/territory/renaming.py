"""A service keeps its first name for life, in folders, headers and grants; `was:` gives people another one. Pure.

Whatever was signed of it names it so. The name in territory.yml is `called`, and commands take both.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from appliance.errors import Refused
from appliance.territory.model import Service, Territory


def with_first_names(territory: Territory, was: Mapping[str, str]) -> Territory:
    """`territory` with the services that `was` has, by their names in the file, under the earlier names it says."""
    return _named(territory, {name: was.get(name, name) for name in territory.services})


def follow_names(territory: Territory, before: Mapping[str, Service], formers: Mapping[str, Service]) -> Territory:
    """`territory` with each service under its first name, by the services `before` it and the `formers` that left.

    A service that was renamed once keeps its first name also without `was`. Raise Refused for an earlier name that was
    none or not the first, for a new service under a name that another one had first, and for a service that moves as it
    is renamed.
    """
    first = {it.called: name for name, it in {**formers, **before}.items() if it.called}
    for service in territory.services.values():
        _check_is_first(service, first, {*before, *formers})
    names = {name: _first_name(it, first, before) for name, it in territory.services.items()}
    _check_apart(territory, names)
    found = _named(territory, names)
    for service in found.services.values():
        _check_name_is_free(service, {**formers, **found.services})
        _check(service, before, formers)
    return found


def with_name(service: Service, called: str) -> Service:
    """`service` as people call it, on pages too where it has no title."""
    return replace(service, called=called, title=service.title or called)


def _first_name(service: Service, first: Mapping[str, str], before: Mapping[str, Service]) -> str:
    """By what it was called before; but a service that goes on under its first name is itself."""
    goes_on = service.name in before and not before[service.name].called
    return service.name if goes_on else first.get(service.name, service.name)


def _check_is_first(service: Service, first: Mapping[str, str], known: Collection[str]) -> None:
    """A name in between is no name of anything once there is a later one, and playbooks know no bundle to ask."""
    found = first.get(service.name, first.get(service.called, ""))
    if service.called and service.name not in known and found:
        raise Refused(
            f'"{service.name}" is not the first name of "{service.called}".',
            where=f"services > {service.called} > was",
            remedy=f"Write `was: {found}` there: all its stored data has that name, and playbooks read it there.",
        )


def _check_apart(territory: Territory, names: Mapping[str, str]) -> None:
    taken: dict[str, str] = {}
    for name, first in names.items():
        if first in taken:
            shown = [territory.services[it].called or it for it in (taken[first], name)]
            raise Refused(
                f'"{shown[0]}" and "{shown[1]}" would both be the service whose first name is "{first}".',
                where="services",
                remedy=f'Give the new one a name that no service had; its history keeps the name "{first}".',
            )
        taken[first] = name


def _check_name_is_free(service: Service, others: Mapping[str, Service]) -> None:
    """No other service, nor one that left, may have it as its first or its present name: commands take both."""
    for other in others.values():
        if other.name != service.name and (service.called or service.name) in (other.name, other.called):
            raise Refused(
                f'"{service.called or service.name}" is a name in the history of {other.label}.',
                where="services",
                remedy="Choose a name that no service had.",
            )


def _check(service: Service, before: Mapping[str, Service], formers: Mapping[str, Service]) -> None:
    old = before.get(service.name)
    where = f"services > {service.called or service.name}"
    if service.called and old is None and service.name not in formers:
        raise Refused(
            f'"{service.name}" is neither a service of the previous bundle nor a removed one.',
            where=f"{where} > was",
            remedy="Write its first name there, or remove the line if it is a new service.",
        )
    renamed = old is not None and (service.called or service.name) != (old.called or old.name)
    if old is not None and renamed and service.node != old.node:
        raise Refused(
            f"it is renamed and moved from {old.node} to {service.node} in one step.",
            where=where,
            remedy=f"Sign it with `node: {old.node}` first, then change `node`.",
        )


def _named(territory: Territory, names: Mapping[str, str]) -> Territory:
    services = {}
    for name, service in territory.services.items():
        called = service.called or name
        first = names[name]
        services[first] = with_name(replace(service, name=first), "" if called == first else called)
    return replace(territory, services=services)
