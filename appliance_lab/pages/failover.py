"""docs/reference/failover.md, written from the table: run this module, its output is the page."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields

from appliance.failover.fsm.model import DOES, MEANINGS, State
from appliance.failover.fsm.row import Row
from appliance.failover.fsm.table import rows_of
from appliance.failover.fsm.timers import Timers
from appliance.failover.history import EVENTS
from appliance_lab.checkers.invariants import CHECKS

HEAD = """# Failover: the table of transitions

Written by `make docs` from what `appliance failover table` prints. In each state the first row that holds counts.
Nodes run by it, hosts as well as in process mode (`docs/how-to/failover.md`).

The [glossary](../GLOSSARY.md) explains voter, lease and epoch. Three words belong to this table alone:

- A *proof* is a renewal of the lease that a majority of the voters confirmed. Every deadline counts from when it was
  *sent*, by a clock that nobody can set and that counts sleep (CLOCK_BOOTTIME).
- *Home* is the origin of the service.
- *Alone* is the home of a local-first or mirror service that opened it under the newest grant that is known, has not
  released it and is not quarantined.
"""

POLICIES = """
## Policies

| policy | the home when it is cut off | another node, by itself | another node writes |
| --- | --- | --- | --- |
| `local-first` | goes on writing, for ever | serves its dated copy, read-only | after a signed act or a clean release |
| `exclusive` | stops before its lease can end; a site is read over the mesh | takes over | when the lease has ended |
| `mirror` | goes on publishing | serves its copy, always | never |
"""


def page() -> str:
    """The whole page, in Markdown."""
    parts = [HEAD, POLICIES, _timers(), _actions(), *(_section(state) for state in State), _history()]
    return "".join(parts)


def _timers() -> str:
    rows = "".join(f"| {it.name} | {getattr(Timers(), it.name):g} |\n" for it in fields(Timers))
    rule = "TTL >= renew + 2 x request x tries + stop + epsilon"
    return (
        f"\n## Timers\n\nSeconds. `{rule}`, or they are refused: the sum is {Timers().ttl_min:g} here. T_stop is stop, "
        f"T_prom promote, T_recover recover, T_drain drain, T_boot boot.\n\n| timer | s |\n| --- | ---: |\n{rows}"
    )


def _actions() -> str:
    rows = "".join(f"| {action} | {words} |\n" for action, words in MEANINGS.items())
    return f"\n## Actions\n\nEach is safe to repeat and to cut.\n\n| action | |\n| --- | --- |\n{rows}"


def _section(state: State) -> str:
    rows = "".join(_line(row) for row in rows_of(state))
    head = "| row | when | does | then | why |\n| --- | --- | --- | --- | --- |\n"
    return f"\n## {state}\n\nThe node {DOES[state]}.\n\n{head}{rows}"


def _line(row: Row) -> str:
    return f"| `{row.id}` | {row.when} | {', '.join(row.actions) or '–'} | {row.next or 'stays'} | {row.why} |\n"


def _history() -> str:
    events = "".join(f"| `{name}` | {', '.join(more) or '–'} |\n" for name, more in EVENTS.items())
    checks = "".join(f"| {check.__name__.upper()} | {_in_one_line(check.__doc__)} |\n" for check in CHECKS)
    return (
        "\n## Histories\n\nWhat happened in a run is written as JSON lines, each with `t_boottime`, `wall`, `node`, "
        "`boot_id`, `svc`, `epoch` and `event`;\n`appliance lab check FILE` judges it, any number of times. "
        "A run in which nothing happened is *unknown*.\n\n"
        f"| event | also has |\n| --- | --- |\n{events}\n| promise | |\n| --- | --- |\n{checks}"
    )


def _in_one_line(text: str | None) -> str:
    return " ".join(line.strip() for line in _lines(text))


def _lines(text: str | None) -> Iterable[str]:
    return (line for line in (text or "").splitlines() if line)


if __name__ == "__main__":
    print(page(), end="")
