"""A lab that was provisioned once, kept so that others begin where it stood: snapshots of nodes, the control folder.

Provisioning takes minutes, a snapshot no time: tests that need nodes, and not to see them made, begin here. A template
is good for exactly what it was made from. Copies have each other's keys; no lab reaches another, so they never meet.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from appliance.config.load import load, territory_file
from appliance.host.disks import btrfs
from appliance.host.files import locked, make_private_folder
from appliance.host.network import netns
from appliance.host.processes import process
from appliance_lab.checkout import code_folder
from appliance_lab.hosts import base, machine
from appliance_lab.hosts import lab as labs
from appliance_lab.hosts.control_machine import ControlMachine, set_up
from appliance_lab.hosts.lab import Lab, Say, changing
from appliance_lab.hosts.paths import HostPaths
from appliance_lab.hosts.plan import Node, make_plan
from appliance_lab.hosts.pool import BTRFS, Pool
from appliance_lab.hosts.provision import provision

MADE_FROM = ("ansible.cfg", "appliance", "debian", "playbooks", "roles", "systemd")
OF_THE_DESK = ("key", "key.pub", "inventory", "safe", "packages")
NESTED = ("srv", "var/lib")
"""Where nodes may have subvolumes of their own."""
WORKER = "appliance.agent.work"
AT_REST_SECONDS, REST_SECONDS_MAX, LOOK_EVERY_SECONDS = 70.0, 600.0, 1.0
"""An agent looks each minute, and at once after a work that ended: the grants of a node may come just after a look."""


def up_provisioned(paths: HostPaths, name: str, inventory: Path, say: Say) -> Lab:
    """The lab `name`, which must be down, with every node as its territory says; from a template where there is one."""
    template = paths.pool / "templates" / identity(inventory)
    with locked(paths.root / "template", what="the template of labs", wait=True):
        if template_is_whole(paths, template):
            return _copied(paths, name, inventory, template, say)
        lab = labs.up(paths, name, inventory, say)
        with changing(paths, name):
            provision(lab)
            if lab.pool.backend == BTRFS:
                _wait_for_rest(lab)
                _keep(lab, template)
    return lab


def identity(inventory: Path) -> str:
    """A hash of all that decides what a provisioned lab is."""
    digest = hashlib.sha256(base.read_inputs().identity.encode())
    for file in (territory_file(inventory), *_sources(code_folder())):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def template_is_whole(paths: HostPaths, template: Path) -> bool:
    """Whether the template is there to its last file; the pool is mounted while any lab is up."""
    if paths.image.exists() and not paths.pool.is_mount():
        Pool(paths, BTRFS).open()
    return (template / "whole").exists()


def _sources(root: Path) -> Iterator[Path]:
    for name in MADE_FROM:
        place = root / name
        found = sorted(place.rglob("*")) if place.is_dir() else [place]
        yield from (it for it in found if it.is_file() and "__pycache__" not in it.parts)


def _wait_for_rest(lab: Lab) -> None:
    """Return once each agent has done the work of its first day, so that no copy of the lab begins with that; or after
    ten minutes: copies then begin with what is left."""
    lab.say("The agents do the work of their first day.")
    deadline, since = time.monotonic() + REST_SECONDS_MAX, time.monotonic()
    while time.monotonic() < deadline and time.monotonic() - since < AT_REST_SECONDS:
        if any(_works(node) for node in lab.plan.nodes):
            since = time.monotonic()
        time.sleep(LOOK_EVERY_SECONDS)


def _works(node: Node) -> bool:
    return any(WORKER in it.argv for pid in netns.pids(node.namespace) if (it := process(pid)))


def _keep(lab: Lab, template: Path) -> None:
    """Keep `lab` as `template`, in place of an older one, and go on."""
    _forget_others(lab.paths.pool / "templates")
    template.mkdir(parents=True)
    with ThreadPoolExecutor() as threads:
        list(threads.map(machine.shut_down, lab.plan.nodes))
    for node in lab.plan.nodes:
        snapshot_deep(lab.root(node), template / node.name)
    _copy_desk(lab.own.root, template / "desk")
    (template / "whole").touch()
    for node in lab.plan.nodes:
        labs.power_on(lab, node)
    labs.wait_for_ssh(lab, lab.plan.nodes)


def _copied(paths: HostPaths, name: str, inventory: Path, template: Path, say: Say) -> Lab:
    plan = make_plan(load(inventory), name)
    pool = Pool(paths, BTRFS)
    with changing(paths, name):
        _copy_desk(template / "desk", paths.lab(name).root)
        pool.remove_all(name)  # an ended lab may have left some
        for node in plan.nodes:
            root = pool.root(name, node.name)
            root.parent.mkdir(mode=0o700, parents=True)
            snapshot_deep(template / node.name, root)
    lab = labs.up(paths, name, inventory, say)
    [package] = (ControlMachine(lab.own.root).root / "packages").glob("*.deb")
    set_up(lab, package)
    return lab


def snapshot_deep(source: Path, place: Path) -> None:
    """A writable snapshot of `source` with those inside it; a snapshot alone leaves empty folders in their place."""
    btrfs.snapshot(source, place)
    for inner in [it for top in NESTED for it in btrfs.subvolumes(source / top)]:
        copy = place / inner.relative_to(source)
        copy.rmdir()
        btrfs.snapshot(inner, copy, read_only=not os.access(inner, os.W_OK))


def _copy_desk(source: Path, to: Path) -> None:
    make_private_folder(to)
    for name in OF_THE_DESK:
        place = source / name
        if place.is_dir():
            shutil.copytree(place, to / name, dirs_exist_ok=True)
        else:
            shutil.copy2(place, to / name)


def _forget_others(templates: Path) -> None:
    for folder in templates.glob("*/*"):
        if btrfs.is_subvolume(folder):
            btrfs.delete(folder)
    shutil.rmtree(templates, ignore_errors=True)
