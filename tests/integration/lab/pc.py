"""A PC in the building of a site that asks for pages of a node (see visit.py)."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from appliance.host.command import Result, run
from appliance.host.network import netns
from appliance_lab.stories.context import StoryContext
from tests.pace import LONG

ROOT = Path(__file__).parents[3]
SECONDS_MAX = LONG * 150
PASSWORD = "un chêne près du lavoir"


@dataclass(frozen=True)
class Pc:
    """In the building of `site`; `person` sits at it."""

    context: StoryContext
    site: str
    person: str

    def ask(self, node: str, code: str, words: str, path: str = "") -> Result:
        lab, root = self.context.lab, self.context.disk(node, "/srv/appliance/node/tls/root.pem")
        asked = (f"{node}.lab.internal", str(lab.plan.node(node).address), str(root), self.person, words, path)
        argv = netns.inside(lab.plan.site(self.site).namespace, (sys.executable, "-m", "tests.integration.lab.visit"))
        typed = f"{PASSWORD}\n{code}\n".encode()
        return run((*argv, *asked), timeout_seconds=SECONDS_MAX, stdin=typed, cwd=ROOT, env={"PYTHONPATH": str(ROOT)})

    def saw(self, node: str, code: str, words: str, path: str = "") -> dict[str, Any]:
        answer = self.ask(node, code, words, path)
        assert answer.exit_code == 0, answer.tail(20)
        found: dict[str, Any] = json.loads(answer.stdout)
        return found


def let_in(context: StoryContext, node: str, person: str, *groups: str) -> list[str]:
    """Give `person` an account at `node` and a sheet of paper; return its codes, each of which opens once."""
    words = [word for group in groups for word in ("--group", group)]
    context.did(node, "appliance", "account", "add", person, *words, stdin=f"{PASSWORD}\n".encode())
    sheet = context.did(node, "appliance", "account", "code-sheet", person)
    return [line.split()[-1] for line in sheet.splitlines() if line.strip().startswith("[ ]")]
