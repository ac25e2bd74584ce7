"""The node that a command is about, and the recovery key when somebody types it."""

from __future__ import annotations

import functools
import sys

from appliance.cli.output import say
from appliance.cli.this_layout import this_layout
from appliance.escrow import paper_key
from appliance.escrow.keyboard import typed_key
from appliance.node.handle import Node, open_node
from appliance.secret import Secret

STANDARD_INPUT = 0


def this_node() -> Node:
    """The node of --state with its bundle; raise NotFound, with what to type, when it has none yet."""
    return open_node(this_layout().root)


@functools.cache  # a command that opens several services asks once
def typed_paper() -> Secret:
    """The recovery key, from the terminal without echo or else from standard input: never from argv or environment."""
    if sys.stdin.isatty():
        say("Tapez la clé du papier, sans écho. / Type the key from the paper, without echo.")
        return paper_key.read(typed_key(None))
    return paper_key.read(typed_key(STANDARD_INPUT))
