"""Where the node that a command is about keeps what; verbs that need no bundle do not pay for reading one."""

from __future__ import annotations

from appliance.cli.options import state_folder
from appliance.host.account import step_down_to_owner
from appliance.host.layout import NodeLayout


def this_layout() -> NodeLayout:
    """Where the node of --state keeps what, from any working folder; root goes on as the account of the node."""
    layout = layout_as_root()
    step_down_to_owner(layout.root)
    return layout


def layout_as_root() -> NodeLayout:
    """The same for a verb that changes the host and only reads what the node keeps: root stays root."""
    return NodeLayout(state_folder().resolve())
