"""Bare machines become a territory of real hosts, lose a node, replace it, and leave nothing behind."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance_lab.hosts import lab as labs
from appliance_lab.hosts import needs
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
from appliance_lab.stories.promises import LAB_KEPT, LAB_NAME
from tests.stories.conftest import Saw

pytestmark = [
    *(pytest.mark.steps, pytest.mark.slow, pytest.mark.root, pytest.mark.xdist_group("lab")),
    pytest.mark.timeout(900),
]
INVENTORY = Path(__file__).parents[2] / "inventory/lab"


@pytest.fixture(scope="module")
def context() -> Iterator[StoryContext]:
    if reason := needs.why_not():
        pytest.skip(f"no lab here: {reason}")
    name = os.environ.get(LAB_NAME, "teststory")
    context = StoryContext(name, INVENTORY, print, look(name))
    yield context
    if not os.environ.get(LAB_KEPT) and name in context.paths.known_labs():
        labs.down(context.paths, name, print)


def test_bare_hosts_boot(context: StoryContext, saw: Saw) -> None:
    saw(booted.boot(context))


def test_playbooks_make_them_nodes(context: StoryContext, saw: Saw) -> None:
    saw(provisioned.provisioned(context))


def test_a_second_run_changes_nothing(context: StoryContext, saw: Saw) -> None:
    saw(provisioned.second_run(context))


def test_a_backup_goes_between_hosts_over_the_mesh(context: StoryContext, saw: Saw) -> None:
    saw(backed_up.backed_up(context))


def test_a_clerk_gets_the_document_of_yesterday_back_alone(context: StoryContext, saw: Saw) -> None:
    saw(previous_versions.previous_versions(context))


def test_what_must_be_refused_is_refused(context: StoryContext, saw: Saw) -> None:
    saw(refusals.refusals(context))


def test_a_lost_box_is_replaced(context: StoryContext, saw: Saw) -> None:
    saw(replaced.replaced(context))


def test_an_upgrade_stops_at_a_sick_node(context: StoryContext, saw: Saw) -> None:
    saw(upgraded.upgraded(context))


def test_a_stolen_box_is_revoked(context: StoryContext, saw: Saw) -> None:
    saw(revoked.revoked(context))


def test_nothing_is_left(context: StoryContext, saw: Saw) -> None:
    saw(booted.tear_down(context))
