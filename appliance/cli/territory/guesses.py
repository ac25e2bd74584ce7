"""The figures of territory.yml that are guesses, and the commands that measure them; pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from appliance.territory.model import Service, Territory
from appliance.units import as_typed, format_count

NO_SURVEY = "(of a database, a dump shows the size)"


def guesses(territory: Territory) -> list[dict[str, Any]]:
    """The figures that territory.yml marks as guesses, a row each; `survey` measures them, "" for a database."""
    return [
        {"service": service.label, "setting": setting, "survey": survey_of(service)}
        for service in territory.services.values()
        for setting in service.guessed
    ]


def survey_of(service: Service) -> str:
    """The command that measures `service` on the machine that has its files; "" for a database."""
    return survey_line(service.folders, service.exclude) if service.folders else ""


def survey_line(folders: Iterable[str], exclude: Iterable[str], *options: str, quiet: bool = False) -> str:
    """The command that measures `folders` without what `exclude` names."""
    program = ("appliance", "--quiet") if quiet else ("appliance",)
    left_out = [word for pattern in exclude for word in ("--exclude", pattern)]
    return as_typed(*program, "survey", *options, *left_out, *folders)


def guesses_text(found: Sequence[Mapping[str, Any]]) -> str:
    """The commands that measure what is guessed, each with the settings and services that it is for."""
    settings: dict[tuple[str, str], list[str]] = {}
    for it in found:
        settings.setdefault((it["survey"] or NO_SURVEY, it["service"]), []).append(it["setting"])
    surveys: dict[str, dict[str, list[str]]] = {}
    for (survey, service), names in settings.items():
        surveys.setdefault(survey, {}).setdefault(" and ".join(names), []).append(service)
    told = [f"{format_count(len(found), 'figure')} marked ~ as a guess, to be measured where the files are:"]
    for survey, rows in surveys.items():
        told += [f"  {survey}", *(f"    {names} of {', '.join(services)}" for names, services in rows.items())]
    return "\n".join(told)
