"""An operator who obeys what is printed brings a territory from empty boxes to safe."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.escrow.age import generate
from appliance.trust.keys import create_key
from appliance_lab.processes.node import ProcessNode
from tests.integration.cli.typed import write_plan
from tests.integration.operator.boxes import Boxes, may_start_sshd
from tests.integration.operator.obeying import Operator, Stuck
from tests.integration.operator.printed import KEY_HOLDER, Proposal, Said, proposals

NODES = ("hermitage", "commune-a")


@pytest.fixture
def boxes(tmp_path: Path, documents: Path, operator_key: Path) -> Iterator[Boxes]:
    """Four empty boxes; beside the plan lie the territory key and the public half of the recovery key."""
    may_start_sshd()
    folder = tmp_path / "desk"
    folder.mkdir()
    create_key(folder / "territory")
    (folder / "recovery.pub").write_text(f"{generate().public}\n")
    plan = write_plan(folder, documents, operator_key)
    nodes = {
        it.name: ProcessNode(it.name, tmp_path / "nodes" / it.name, it.address, it.port) for it in plan.nodes.values()
    }
    made = Boxes(folder, nodes, {"BUNDLE": "bundle", "KEY": "territory"})
    try:
        yield made
        print("\n".join(made.typed))
    finally:
        made.stop()
        shutil.rmtree(tmp_path / "nodes", ignore_errors=True)


def test_empty_boxes_become_a_safe_territory_by_what_is_printed_alone(boxes: Boxes) -> None:
    Operator(boxes).settle()
    told = {name: json.loads(boxes.goes_on(name).out) for name in boxes.nodes}
    assert {name: it["state"] for name, it in told.items()} == dict.fromkeys(boxes.nodes, "ok")
    (docs,) = [it for it in told["commune-a"]["judged"] if it["role"] == "written"]
    assert (docs["safe"], sorted(docs["counted"])) == (True, ["commune-b", "hermitage"])


def test_lines_of_a_command_become_proposals_with_their_places() -> None:
    err = (
        "Next, the holder of the territory key types:\n"
        "  appliance territory grant a.request --bundle BUNDLE --key KEY --out a.grant\n"
        "Then, here: appliance backup accept a a.grant\n"
        "Next, on every node: appliance node accept bundle\n"
        "Next, on hermitage: appliance vault show a\n"
        "Next: collect its public keys: appliance internal node keys > commune-a.json\n"
        "Next, to see it: appliance backup list a\n"
    )
    found = [(it.place, *it.argv[1:3], it.out) for it in proposals(Said(0, err=err), "commune-a", NODES)]
    assert found == [
        (KEY_HOLDER, "territory", "grant", ""),
        ("commune-a", "backup", "accept", ""),
        ("hermitage", "node", "accept", ""),
        ("commune-a", "node", "accept", ""),
        ("hermitage", "vault", "show", ""),
        ("commune-a", "internal", "node", "commune-a.json"),
    ]


def test_a_condition_is_left_to_the_person_who_sees_whether_it_holds() -> None:
    said = Said(0, err="Next, if files of before are missing: appliance restore all --service a --in-place\n")
    assert list(proposals(said, "commune-a", NODES)) == []
    (found,) = proposals(said, "commune-a", NODES, lambda condition, place: condition.endswith("are missing"))
    assert found.argv[1:3] == ("restore", "all")


class Answering:
    """Places that answer as they are told."""

    def __init__(self, said: Said, status: Said | None = None) -> None:
        self.nodes, self.said = NODES, said
        self.status = status or Said(0, '{"judged": []}')

    def type_at(self, proposal: Proposal) -> Said:
        return self.said

    def goes_on(self, name: str) -> Said:
        return self.status

    def acted(self, said: str) -> list[Proposal] | None:
        return None

    def is_seen(self, condition: str, place: str) -> bool:
        return False


RUN = Proposal("commune-a", ("appliance", "backup", "run", "docs-a"))
SIGN = Proposal(KEY_HOLDER, ("appliance", "territory", "sign", "."))


def test_a_proposal_that_cannot_be_carried_out_is_found() -> None:
    with pytest.raises(Stuck, match="cannot be carried out"):
        Operator(Answering(Said(3, err="appliance: there is no such folder."))).obey([[RUN]])


def test_what_another_process_does_just_now_is_left_to_the_next_look() -> None:
    busy = Said(4, err="appliance: the service docs-a is in use by another process. Try again when it has ended.")
    pauses: list[float] = []
    Operator(Answering(busy), pauses.append).obey([[RUN]])
    assert len(pauses) == 1


class Signing(Answering):
    """The key holder signs a bundle again, for every node; `typed` are all commands in their order."""

    def __init__(self) -> None:
        super().__init__(Said(0))
        self.typed: list[Proposal] = []

    def type_at(self, proposal: Proposal) -> Said:
        self.typed.append(proposal)
        return Said(0, err="Next, on every node: appliance node accept bundle") if proposal == SIGN else self.said


def test_a_bundle_that_was_signed_again_is_accepted_again_and_once() -> None:
    accepts = [Proposal(it, ("appliance", "node", "accept", "bundle")) for it in NODES]
    places = Signing()
    Operator(places).obey([[*accepts, SIGN], [SIGN], [RUN, RUN]])
    assert sorted(map(str, places.typed)) == sorted(map(str, [*accepts, RUN, SIGN, *accepts]))
    assert places.typed[-2:] == accepts


def test_a_proposal_that_comes_back_after_it_was_carried_out_is_a_circle() -> None:
    steps = [{"argv": list(RUN.argv), "where": "this node", "why": ""}]
    status = Said(4, json.dumps({"judged": [{"reasons": [{"next": steps}]}]}))
    with pytest.raises(Stuck, match="again and again"):
        Operator(Answering(Said(0), status), pause=lambda _: None).settle()


def test_what_is_waited_for_without_an_end_is_found() -> None:
    status = Said(1, json.dumps({"judged": [{"reasons": [{"next": [{"wait": "Nothing to do yet."}]}]}]}))
    with pytest.raises(Stuck, match="Nothing to do yet"):
        Operator(Answering(Said(0), status), pause=lambda _: None).settle()
