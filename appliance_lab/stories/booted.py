"""The first and the last step: a lab that boots, and nothing left of it."""

from __future__ import annotations

import time

from appliance_lab.hosts import lab as labs
from appliance_lab.stories.ground import Ground
from appliance_lab.stories.left import look
from appliance_lab.story import require


def boot(ground: Ground) -> str:
    """Every node boots as a Debian host with systemd as its first process, and answers SSH."""
    lab = labs.up(ground.places, ground.name, ground.inventory, ground.say)
    started = time.monotonic()
    for node in lab.plan.nodes:
        ground.did(node.name, "systemctl", "is-system-running", "--wait", "||", "true")
        first = ground.did(node.name, "cat", "/proc/1/comm").strip()
        require(first == "systemd", f"the first process of {node.name} is {first}.")
        require(not ground.disk(node.name, "/usr/bin/appliance").exists(), f"{node.name} is no bare machine.")
    settled = time.monotonic() - started
    backends = ", ".join(f"{job}: {how}" for job, how in sorted(lab.state.backends.items()))
    return f"{len(lab.plan.nodes)} bare Debian hosts answer SSH, all settled {settled:.1f} s later; {backends}"


def tear_down(ground: Ground) -> str:
    """Nothing is left: no namespace, interface, mount, loop device, table of rules, process or control group."""
    labs.down(ground.places, ground.name, ground.say)
    left = look(ground.name, ground.places).since(ground.before)
    require(not left, f"left behind: {'; '.join(left)}")
    require(not ground.desk.root.exists(), f"{ground.desk.root} is still there.")
    beside = f", other labs left alone: {', '.join(sorted(ground.before.others))}" if ground.before.others else ""
    return f"no namespace, interface, mount, loop device, rule, process or control group is left{beside}"
