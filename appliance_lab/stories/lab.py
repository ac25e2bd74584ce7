"""The story `lab`: bare machines become a territory, lose a node, replace it, and leave nothing behind."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

from appliance.errors import UsageError
from appliance_lab.hosts import lab as labs
from appliance_lab.stories import (
    backed_up,
    booted,
    previous_versions,
    provisioned,
    refusals,
    replaced,
    revoked,
    upgraded,
)
from appliance_lab.stories.context import StoryContext
from appliance_lab.stories.left import look
from appliance_lab.story import Story

TITLE = "Bare machines become a territory"

# Each step stands on what those before it made. The last one always runs.
STEPS = (
    ("bare hosts boot", booted.boot),
    ("playbooks make them nodes", provisioned.provisioned),
    ("a second run changes nothing", provisioned.second_run),
    ("a backup between hosts, over the mesh", backed_up.backed_up),
    ("a clerk gets yesterday's document back alone", previous_versions.previous_versions),
    ("what must be refused is refused", refusals.refusals),
    ("a lost box is replaced", replaced.replaced),
    ("an upgrade stops at a sick node", upgraded.upgraded),
    ("a stolen box is revoked", revoked.revoked),
)
LAST = ("nothing is left", booted.tear_down)


def play(name: str, inventory: Path, report: Path, say: Callable[[str], None], *, keep: bool) -> Story:
    """Play it in a lab called `name`, which must not be up, and write its report; with `keep` the lab stays up."""
    if os.geteuid() != 0:
        raise UsageError("real hosts need root: sudo make story-lab", remedy="As anybody: make demo")
    context = StoryContext(name, inventory, say, look(name))
    if name in context.paths.known_labs():
        raise UsageError(f"the lab {name} is up already.", remedy=f"appliance lab down --name {name}")
    story = Story("lab", TITLE, report)
    try:
        for what, step in STEPS:
            story.step(what, partial(step, context))
        if not keep and story.exit_code == 0:
            story.step(LAST[0], partial(LAST[1], context))
        story.write()
    finally:
        if not keep and name in context.paths.known_labs():
            labs.down(context.paths, name, say)
    return story
