"""The attacker of the demo would be seen if a peer let one attempt through: a demo that cannot fail shows nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.backup.writer import writer
from appliance.node.handle import open_node
from appliance_lab.demo import attacker as attempts
from appliance_lab.demo.attacker import Attacker, roll_back, steal
from appliance_lab.demo.whole import held_names
from appliance_lab.processes.territory import ProcessTerritory
from appliance_lab.story import Unknown, Violated

SERVICE, PEER = "docs-a", "commune-b"


def back_up(territory: ProcessTerritory) -> None:
    assert writer.run(territory.open("commune-a"), SERVICE).safety.safe


def outsider(territory: ProcessTerritory, to: Path) -> Attacker:
    return Attacker(open_node(steal(territory.nodes["commune-a"].state, to / "stolen")), SERVICE, PEER)


def test_a_peer_is_not_rolled_back_and_one_that_were_would_be_seen(
    territory: ProcessTerritory, documents: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    back_up(territory)
    with pytest.raises(Unknown, match="holds 1 generation: there is none to roll back to"):
        roll_back(outsider(territory, tmp_path))
    (documents / "budget.txt").write_text("budget\n" * 1000)
    back_up(territory)
    held = held_names(territory.open(PEER), SERVICE)
    thief = outsider(territory, tmp_path)
    said = roll_back(thief)
    assert said == "refused (generation 2.1 cannot come after 2.2); offered again, 2.1 leaves the newest where it is"
    assert held_names(territory.open(PEER), SERVICE) == held
    with monkeypatch.context() as patched:
        patched.setattr(attempts, "_push_list", lambda *_, **__: None)
        with pytest.raises(Violated, match="accepted something from an attacker"):
            roll_back(thief)
    (documents / "budget.txt").write_text("other\n" * 1000)
    monkeypatch.setattr(attempts, "_offer_again", lambda *_: back_up(territory))
    with pytest.raises(Violated, match=r"2\.3 is its newest, 2\.2 was"):
        roll_back(thief)
