"""A person who types each printed line first at another node, and at the right one twice: the software refuses in a
sentence or does nothing more, and all ends as well as for one who takes care."""

from __future__ import annotations

import random
from dataclasses import replace

from tests.integration.operator.events import EVENTS
from tests.integration.operator.obeying import Operator
from tests.integration.operator.printed import KEY_HOLDER, Proposal
from tests.integration.operator.town import Town

STARTS = ("agent", "sshd_config")
"""The ends of lines that begin a program that stays: between processes nothing keeps a second one away."""


class Clumsy(Operator):
    def _carry_out(self, it: Proposal) -> list[Proposal]:
        others = [name for name in self.places.nodes if name != it.place]
        if it.place != KEY_HOLDER and "--state" not in it.argv:
            self._type(replace(it, place=others[0], out=""))
        then = super()._carry_out(it)
        self._type(it)
        return then

    def _type(self, it: Proposal) -> None:
        if any(word.endswith(STARTS) for word in it.argv):
            return
        said = self.places.type_at(it)
        assert "Traceback" not in said.err, f"{it}: {said.err}"
        assert said.is_done or said.err.startswith("appliance: "), f"{it}: {said.code}: {said.err}"


def test_lines_typed_twice_and_at_the_wrong_node_end_as_well(town: Town) -> None:
    draw, operator = random.Random("clumsy"), Clumsy(town)
    EVENTS["a disk is wiped"].happen(town, operator, "commune-a", draw)
    operator.settle()
    town.prove(draw)
