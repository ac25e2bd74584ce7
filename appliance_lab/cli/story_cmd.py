"""`appliance lab story`: one promise shown end to end, with a report; on real hosts, or between processes."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

import click

from appliance.errors import ApplianceError, NotFound, UsageError
from appliance.host.files import make_private_folder
from appliance_lab.checkout import code_folder
from appliance_lab.hosts.paths import HostPaths
from appliance_lab.stories.promises import LAB_KEPT, LAB_NAME, LAST, SCREENSHOTS, STORIES
from appliance_lab.story import UNUSABLE_INPUT

PYTEST = ("-m", "pytest", "-q", "--no-header", "-p", "no:cacheprovider", "-p", "tests.stories.report")


@click.command()
@click.argument("story", type=click.Choice(sorted(STORIES)))
@click.option("--keep", is_flag=True, help="Leave the lab running at the end.")
@click.option("--name", default="story", show_default=True, help="The lab of this machine to play in; it must be down.")
@click.option("--out", metavar="DIR", type=click.Path(path_type=Path), default=Path("build/stories"), show_default=True)
def story(story: str, keep: bool, name: str, out: Path) -> int:
    """Play STORY on this machine and write a report of what held to DIR.

    `lab` is played on real hosts, the others in processes; as root, the last steps of `portal` and `failover` also use
    hosts. The steps are tests of the checkout.

    Exits with 0 when every step held, 1 when one was violated, 2 when one is unknown, 3 when it could not start.
    """
    try:
        _check(story, name)
    except ApplianceError as error:
        click.echo(str(error), err=True)
        return UNUSABLE_INPUT
    return _play(story, out.absolute() / f"{story}.json", {LAB_NAME: name, LAB_KEPT: "yes" if keep else ""})


def _play(story: str, report: Path, told: Mapping[str, str]) -> NoReturn:
    """Become pytest, whose plugin writes `report` and decides the exit code. Screenshots go beside the report."""
    promise, pictures = STORIES[story], make_private_folder(report.with_suffix(""))
    files = (*promise.tests, *(promise.by_root if os.geteuid() == 0 else ()))
    left_out = ("--deselect", LAST) if told[LAB_KEPT] else ()
    words = ("--story", story, "--story-report", str(report), *(f"tests/{file}" for file in files), *left_out)
    os.chdir(code_folder())
    os.execve(sys.executable, (sys.executable, *PYTEST, *words), {**os.environ, **told, SCREENSHOTS: str(pictures)})


def _check(story: str, lab: str) -> None:
    """Raise NotFound where there is no checkout to take tests from, UsageError where the story cannot have its lab."""
    files = (*STORIES[story].tests, *STORIES[story].by_root)
    if not all((code_folder() / "tests" / file).is_file() for file in files):
        raise NotFound("a story is played from a checkout.", remedy=f"Clone the repository, then: make story-{story}")
    has_hosts = os.geteuid() == 0 and (story == "lab" or any("/lab/" in file for file in files))
    if has_hosts and lab in HostPaths().known_labs():
        raise UsageError(f"the lab {lab} is up already.", remedy=f"appliance lab down --name {lab}")
    if os.geteuid() != 0 and story == "lab":
        raise UsageError("real hosts need root: sudo make story-lab", remedy="As anybody: make demo")
