"""How commands that change a lab say what they decided: the same values dry and done, for a person and for programs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

import click

from appliance.cli.output import emit, say
from appliance_lab.hosts.decide import Decision
from appliance_lab.hosts.lab import Lab, open_lab
from appliance_lab.hosts.needs import check_root
from appliance_lab.hosts.paths import HostPaths
from appliance_lab.hosts.plan import check_name

DEFAULT_NAME = "lab"


class LabName(click.ParamType):
    """The name of a lab, refused before anything is looked up or made by it."""

    name = "name"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        check_name(str(value))
        return str(value)


name_option = click.option(
    "--name", type=LabName(), default=DEFAULT_NAME, show_default=True, help="The name of the lab on this machine."
)


def the_lab(name: str) -> Lab:
    """The lab `name`; raise Forbidden for an account that can have none."""
    check_root()
    return open_lab(HostPaths(), name, say)


def tell(name: str, decisions: Iterable[Decision], *, dry_run: bool, then: str = "") -> None:
    """Print `decisions`; when they were carried out, say what to type next."""
    made = list(decisions)
    data = {"lab": name, "dry_run": dry_run, "decisions": [asdict(it) for it in made]}
    emit(data, "\n".join(map(str, made)) or "There is nothing to do.")
    if dry_run:
        say("Nothing was changed.")
    elif then:
        say(f"Next: {then}")


def about(name: str, *words: str) -> str:
    """A command of a lab to type next."""
    which = () if name == DEFAULT_NAME else ("--name", name)
    return " ".join(("appliance", "lab", *words, *which))
