"""A stolen box on real hosts (see the story `lab`): SSH, vaults, mesh, certificates and keys end, in this order."""

from __future__ import annotations

import pytest

from appliance_lab.hosts.playbook import play
from appliance_lab.stories.context import ORIGIN, StoryContext
from appliance_lab.stories.revoked import revoked

pytestmark = [pytest.mark.root, pytest.mark.xdist_group("lab"), pytest.mark.timeout(1200)]


def test_a_playbook_revokes_nobody_whom_the_key_holder_did_not(context: StoryContext) -> None:
    refused = play(context.control, "revoke_node", "-e", f"node={ORIGIN}")
    assert refused.exit_code != 0
    assert "is not revoked in" in " ".join(refused.text.split())
    assert (context.control.inventory / "keys" / f"{ORIGIN}.json").exists()


@pytest.mark.slow
def test_a_stolen_standby_is_let_in_nowhere_and_can_open_nothing_new(context: StoryContext) -> None:
    assert "is safe in a new repository with a new key" in revoked(context)
