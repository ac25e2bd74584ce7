"""The rows of the result, in the order in which they are measured: each leaves the ground as the next one needs it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from appliance.lab.bench.bench import Bench
from appliance.lab.bench.booting import hosts_answer
from appliance.lab.bench.compaction import compaction
from appliance.lab.bench.dashboards import dashboard
from appliance.lab.bench.figures import Figure
from appliance.lab.bench.handover import handover
from appliance.lab.bench.leaderless import leaderless
from appliance.lab.bench.names import names
from appliance.lab.bench.outage import outage
from appliance.lab.bench.pages import pages
from appliance.lab.bench.parcel import cut, memory
from appliance.lab.bench.provisioning import playbooks
from appliance.lab.bench.resting import agent_at_rest
from appliance.lab.bench.restoring import one_file, whole_service
from appliance.lab.bench.saving import against_borgmatic, changed, first_backup, unchanged
from appliance.lab.bench.starting import starts
from appliance.lab.bench.takeover import takeover
from appliance.lab.bench.watched import prometheus, scrape

ROWS: Mapping[str, Callable[[Bench], tuple[Figure, ...]]] = {
    "first": first_backup,
    "changed": changed,
    "unchanged": unchanged,
    "borgmatic": against_borgmatic,
    "whole": whole_service,
    "handover": handover,
    "start": starts,
    "agent": agent_at_rest,
    "scrape": scrape,
    "prometheus": prometheus,
    "dashboard": dashboard,
    "memory": memory,
    "cut": cut,
    "compaction": compaction,
    "file": one_file,
    "names": names,
    "portal": pages,
    "takeover": takeover,
    "leaderless": leaderless,
    "hosts": hosts_answer,
    "site": playbooks,
    "outage": outage,
}
