"""`appliance lab story`: one promise shown end to end, with a report; on real hosts, or between processes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import click

from appliance.cli.output import say
from appliance.errors import ApplianceError
from appliance_lab.stories import failover, lab, monitor, portal
from appliance_lab.story import UNUSABLE_INPUT, Story

STORIES: Mapping[str, Callable[..., Story]] = {
    "failover": failover.play,
    "lab": lab.play,
    "monitor": monitor.play,
    "portal": portal.play,
}


@click.command()
@click.argument("story", type=click.Choice(sorted(STORIES)))
@click.option("--keep", is_flag=True, help="Leave the lab running at the end.")
@click.option("--name", default="story", show_default=True, help="The lab of this machine to play in; it must be down.")
@click.option(
    "--inventory", metavar="DIR", type=click.Path(path_type=Path), help="The territory; by default the story's own."
)
@click.option("--out", metavar="DIR", type=click.Path(path_type=Path), default=Path("build/stories"), show_default=True)
def story(story: str, keep: bool, name: str, inventory: Path | None, out: Path) -> int:
    """Play STORY on this machine and write a report of what held to DIR.

    `lab` is played on real hosts, the others in processes; as root, the last steps of `portal` and `failover` also use
    hosts.

    Exits with 0 when every step held, 1 when one was violated, 2 when one is unknown, 3 when it could not start.
    """
    territory = inventory or Path("inventory", "demo" if story == "failover" else "lab")
    try:
        played = STORIES[story](name, territory, out / f"{story}.json", say, keep=keep)
    except ApplianceError as error:
        click.echo(str(error), err=True)
        return UNUSABLE_INPUT
    click.echo(f"\n{played.verdict}. Report: {played.report}, page: {played.report.with_suffix('.html')}")
    return played.exit_code
