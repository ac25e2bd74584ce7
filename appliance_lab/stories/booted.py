"""The first and the last step: a lab that boots, and nothing left of it."""

from __future__ import annotations

import time

from appliance_lab.hosts import lab as labs
from appliance_lab.stories.context import StoryContext
from appliance_lab.stories.left import look
from appliance_lab.story import require


def boot(context: StoryContext) -> str:
    """Every node boots as a Debian host with systemd as its first process, and answers SSH."""
    lab = labs.up(context.paths, context.name, context.inventory, context.say)
    started = time.monotonic()
    for node in lab.plan.nodes:
        context.did(node.name, "systemctl", "is-system-running", "--wait", "||", "true")
        first = context.did(node.name, "cat", "/proc/1/comm").strip()
        require(first == "systemd", f"the first process of {node.name} is {first}.")
        require(not context.disk(node.name, "/usr/bin/appliance").exists(), f"{node.name} is no bare machine.")
    settled = time.monotonic() - started
    backends = ", ".join(f"{job}: {how}" for job, how in sorted(lab.state.backends.items()))
    return f"{len(lab.plan.nodes)} bare Debian hosts answer SSH, all settled {settled:.1f} s later; {backends}"


def tear_down(context: StoryContext) -> str:
    """Nothing is left: no namespace, interface, mount, loop device, table of rules, process or control group."""
    labs.down(context.paths, context.name, context.say)
    left = look(context.name, context.paths).since(context.before)
    require(not left, f"left behind: {'; '.join(left)}")
    require(not context.control.root.exists(), f"{context.control.root} is still there.")
    beside = f", other labs left alone: {', '.join(sorted(context.before.others))}" if context.before.others else ""
    return f"no namespace, interface, mount, loop device, rule, process or control group is left{beside}"
