"""What a story shortens of the rules, and what it leaves: an age against an RPO is the RPO's to shorten."""

from __future__ import annotations

import yaml

from appliance.lab.processes.watching import faster

RULES = """
groups:
- name: a
  rules:
  - {alert: Silent, expr: time() - looked > 900 or state == 3, for: 10m}
  - {alert: Late, expr: time() - safe > on (node) (3 * rpo)}
  - {alert: Old, expr: time() - made > 3 * 86400, for: 1d}
  - {alert: Soon, expr: x == 1, for: 1m}
"""


def test_each_for_and_each_silence_is_sixty_times_shorter_and_nothing_else() -> None:
    [group] = yaml.safe_load(faster(RULES))["groups"]
    assert [(it["expr"], it.get("for")) for it in group["rules"]] == [
        ("time() - looked > 15 or state == 3", "10s"),
        ("time() - safe > on (node) (3 * rpo)", None),
        ("time() - made > 3 * 86400", "1440s"),
        ("x == 1", "1s"),
    ]
