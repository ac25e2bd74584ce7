"""Ansible inventory plugin: `territory.yml` as hosts, groups and variables; what is what: appliance/config/hosts.py."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from ansible.plugins.inventory import BaseInventoryPlugin

# From a checkout the product is not on Python's path; installed as a package it is.
sys.path.append(str(Path(__file__).resolve().parents[2]))

from appliance.config.hosts import Hosts, read_hosts
from appliance.errors import ApplianceError

DOCUMENTATION = """
name: territory
short_description: the nodes of a territory
description:
  - Reads C(territory.yml); every node is a host.
  - Groups are C(nodes), one per role, C(site_NAME) and C(zone_NAME).
options: {}
"""


class InventoryModule(BaseInventoryPlugin):
    NAME = "territory"

    def verify_file(self, path):
        return os.path.basename(path) == "territory.yml"

    def parse(self, inventory, loader, path, cache=True):
        super().parse(inventory, loader, path, cache)
        try:
            found = read_hosts(Path(path), name=_as_typed(path))
        except ApplianceError as error:
            # As an exception Ansible would say it three times, call it a warning and end with another code.
            print(error, file=sys.stderr)
            sys.exit(error.exit_code)
        self._add(found)

    def _add(self, found: Hosts):
        for name, value in found.variables.items():
            self.inventory.set_variable("all", name, value)
        for group in found.groups:
            self.inventory.add_group(group)
        for host in found.hosts:
            self.inventory.add_host(host.name)
            for group in host.groups:
                self.inventory.add_host(host.name, group=group)
            for name, value in host.variables.items():
                self.inventory.set_variable(host.name, name, value)


def _as_typed(path: str) -> str:
    """Ansible makes every path absolute; a person typed it from where they are."""
    relative = os.path.relpath(path)
    return path if relative.startswith("..") else relative
