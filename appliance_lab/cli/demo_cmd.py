"""`appliance demo`: the whole promise on this machine, in 40 s or so."""

from __future__ import annotations

import os
import sys
from functools import partial
from pathlib import Path

import click

from appliance.cli.output import table
from appliance.errors import INTERRUPTED, ApplianceError
from appliance.secret import Secret
from appliance_lab.demo.interruption import interrupted_once
from appliance_lab.demo.kept import how_to_play, show_paper
from appliance_lab.demo.play import play, play_steps
from appliance_lab.story import UNUSABLE_INPUT

FOLDER = click.Path(path_type=Path, readable=False)  # the demo says itself what it may not read, and exits with 3
HEADINGS = ("STEP", "VERDICT", "SECONDS")


@click.command()
@click.option("--data", type=FOLDER, metavar="DIR", help="Documents to back up, instead of generated ones.")
@click.option("--keep", is_flag=True, help="Leave the territory running at the end and print how to use it.")
@click.option("--work", type=FOLDER, metavar="DIR", default=Path("build/demo"), show_default=True)
@click.option("--prepared", type=FOLDER, hidden=True, help="Documents that root prepared for this account.")
@click.option("--generated", is_flag=True, hidden=True)
@click.option("--paper-to", type=int, hidden=True, help="A pipe of root's, for the recovery key.")
def demo(
    data: Path | None, keep: bool, work: Path, prepared: Path | None, generated: bool, paper_to: int | None
) -> int:
    """Run four sites as plain processes: back up, lose nodes, restore everything; a report says what held.

    Exits with 0 when every step held, 1 when one was violated, 2 when one is unknown, 3 when it could not start.
    """
    papers: list[Secret] = []
    try:
        with interrupted_once():
            if prepared:
                hand_over = partial(_send, paper_to)
                return play_steps(work, prepared, generated=generated, keep=keep, hand_over=hand_over).exit_code
            story = play(work, data, keep=keep, hand_over=papers.append)
    except ApplianceError as error:
        click.echo(str(error), err=True)
        return UNUSABLE_INPUT
    except KeyboardInterrupt:
        if not prepared:  # root says it for both
            kept = how_to_play(work) if keep else ""
            left = f"\n{kept}" if kept else " Its processes were ended and its files removed."
            click.echo(f"appliance: the demo was interrupted.{left}", err=True)
        return INTERRUPTED
    click.echo(f"\n{table(HEADINGS, [(step.name, step.verdict, round(step.seconds, 1)) for step in story.steps])}")
    click.echo(f"\n{story.verdict}. Report: {story.report}, page: {story.report.with_suffix('.html')}")
    if keep:
        _show_paper(work, papers)
        click.echo(f"\n{how_to_play(work)}", nl=False)
    return story.exit_code


def _send(pipe: int | None, paper: Secret) -> None:
    if pipe is not None:
        os.write(pipe, paper.reveal())


def _show_paper(work: Path, papers: list[Secret]) -> None:
    """Once, on a terminal: in a file or a log the key would be kept, and a paper is worth what it is kept from."""
    if papers and sys.stdout.isatty():
        click.echo(f"\n{show_paper(work, papers[0])}", nl=False)
    elif papers:
        click.echo("\nThe recovery key is shown on a terminal only; run the demo there to practise recovery by hand.")
