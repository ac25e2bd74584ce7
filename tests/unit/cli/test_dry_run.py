"""Every command that changes something says first what it would do: --dry-run, or a reason why it has none."""

from __future__ import annotations

import click

from appliance.cli.main import root
from appliance_lab.pages.commands import walk, walk_internal

CHANGE_NOTHING = """
status; doctor; completion
backup list; backup show; backup verify
restore detect-attack; restore find; restore jobs; restore versions
territory check; territory duty; territory plan; territory schema; territory show; territory status
internal node keys; node leave; node show
act list; account list
failover status; failover history; failover table
portal journal export; portal journal verify
internal pki csr; internal pki due
voter show
vault ping; vault list; vault show
escrow export-keys; escrow verify
lab check; lab console; lab probe; lab status
"""
"""They look, and print what they see; a copy that is opened to be read is kept, and nothing of a service changes."""

WITHOUT = {
    "survey": "without --days or --record it changes nothing, and prints the same",
    "internal agent": "it runs for good, and each thing that it does has a verb with --dry-run",
    "internal failover run": "it runs for good; `failover table` is what it would do",
    "internal failover broker": "it runs for good",
    "internal portal serve": "it runs for good",
    "internal portal work": "it runs for good, and does what people ordered in the pages",
    "demo": "it makes a territory of its own, and removes it",
    "lab story": "it makes hosts of its own, and removes them",
    "lab bench": "it measures in a folder of its own",
    "lab exec": "what it does is typed",
    "lab shell": "what it does is typed",
}


def test_what_changes_something_has_a_dry_run_or_its_reason() -> None:
    commands = (*walk(root), *walk_internal())
    every = {" ".join(words): it for words, it in commands if not isinstance(it, click.Group)}
    looking = {words.strip() for line in CHANGE_NOTHING.split("\n") for words in line.split(";") if words.strip()}
    without = {words for words, it in every.items() if not any("--dry-run" in option.opts for option in it.params)}
    assert without == looking | WITHOUT.keys()
