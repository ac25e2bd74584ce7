"""The node that a command is about, and the recovery key when somebody types it."""

from __future__ import annotations

import functools
import sys

from appliance.backup.node import Node, open_node
from appliance.cli.options import state_folder
from appliance.cli.output import say
from appliance.escrow import paper_key
from appliance.escrow.keyboard import typed_key
from appliance.host.account import step_down_to_owner
from appliance.host.layout import NodeLayout
from appliance.secret import Secret

STANDARD_INPUT = 0


def this_layout() -> NodeLayout:
    """Where the node of --state keeps what, from any working folder; root goes on as the account of the node."""
    layout = layout_as_root()
    step_down_to_owner(layout.root)
    return layout


def layout_as_root() -> NodeLayout:
    """The same for a verb that changes the host and only reads what the node keeps: root stays root."""
    return NodeLayout(state_folder().resolve())


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
