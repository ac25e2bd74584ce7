"""The worker: `python3 -m appliance.agent.work PARENT STATE KIND WORK` does one work and prints its outcome.

Work runs in processes of its own, not in threads of the agent: a borg or a push that takes days, hangs or eats memory
then touches neither the other services nor the agent, can be ended at any moment, and gives all its memory back.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

import appliance
from appliance.agent.act import failed, perform
from appliance.agent.decisions import Work, from_words, to_words
from appliance.agent.memory import Outcome
from appliance.errors import ApplianceError
from appliance.host.children import die_with_parent
from appliance.host.records import Record
from appliance.node.handle import open_node

ANSWER = Record(Outcome)


def command_line(parent: int, state: Path, work: Work) -> tuple[str, ...]:
    """How the agent, process `parent`, starts the worker for `work`; a person reads it in `ps`."""
    return (sys.executable, "-sP", "-m", "appliance.agent.work", str(parent), str(state), *to_words(work))


def environment() -> Mapping[str, str]:
    """The worker runs the very code that this process runs."""
    return {"PYTHONPATH": str(Path(appliance.__file__).parent.parent)}


def read_outcome(exit_code: int, answer: bytes) -> Outcome:
    """Return the outcome of a worker that has ended; a sentence of ours when it ended without output."""
    try:
        return ANSWER.from_bytes(answer)
    except ValueError:
        how = f"was killed by signal {-exit_code}" if exit_code < 0 else f"exited with {exit_code} without output"
        return failed(ApplianceError(f"the worker {how}.", remedy="It is retried; the agent's log may say more."))


def main() -> int:
    parent, state, kind, values = sys.argv[1:]
    die_with_parent(int(parent))
    try:
        outcome = perform(open_node(Path(state)), from_words(kind, values))
    except ApplianceError as error:
        outcome = failed(error)
    print(ANSWER.to_bytes(outcome).decode(), flush=True)
    return outcome.exit_code


if __name__ == "__main__":
    sys.exit(main())
