"""Nodes whose root answers a scrape with what it likes, against Debian's own Prometheus with the role's files: no rule
fails for the other towns, nobody is believed about another, and what is beyond the bounds counts as silent."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from appliance.monitor.metrics import METRICS
from appliance.monitor.scrape import BYTES_MAX, LABEL_VALUE_MAX, SAMPLES_MAX
from appliance_lab.processes.node import free_ports
from appliance_lab.processes.watching import PORTS, Site, Watched

NOW = int(time.time())
LONG_AGO = NOW - 30 * 86400


def lines(*samples: str) -> bytes:
    return "".join(f"{it}\n" for it in samples).encode()


def late(service: str) -> bytes:
    """An origin whose backup is late, with no copy; its hour is its RPO."""
    of = f'{{backup="{service}"}}'
    return lines(
        f"appliance_agent_looked_timestamp_seconds {NOW}",
        f"appliance_backup_newest_safe_timestamp_seconds{of} {LONG_AGO}",
        f'appliance_check_state{{check="backup-age",role="written",subject="{service}"}} 3',
        f"appliance_backup_rpo_target_seconds{of} 3600",
        f"appliance_backup_copies{of} 0",
        f"appliance_backup_copies_promised{of} 2",
    )


def doubled() -> bytes:
    """Each metric of ours twice, with each label that a rule adds or compares by."""
    labels = ("x", "severity", "backup", "peer", "kind", "node", "site", "job", "alertname", "state", "public")
    said = []
    for metric in METRICS:
        own = "".join(f'{name}="docs-e",' for name in metric.labels)
        said.append(f"{metric.full_name}{{{own}}} 1")
        said += [
            f'{metric.full_name}{{{own}{label}="{it}"}} 1'
            for label in labels
            if label not in metric.labels
            for it in "ab"
        ]
    return lines(*said, 'ALERTS{alertname="FauxSucces",severity="critical"} 1', "backup:fresh_copies:count 7")


def about_others() -> bytes:
    """It says that two peers, and itself, hold fresh copies of another town's service, and that there are enough."""
    said = []
    for peer in ("p1", "p2"):
        of = f'{{backup="docs-b",peer="{peer}"}}'
        said += [f"appliance_replica_newest_archive_timestamp_seconds{of} {NOW}"]
        said += [f"appliance_replica_last_success_timestamp_seconds{of} {NOW}"]
        said += [f"appliance_replica_rpo_target_seconds{of} 1e9", f"appliance_replica_damaged_files{of} 0"]
    return lines(*said, 'appliance_backup_copies{backup="docs-b"} 9', 'node_md_disks{state="active",device="md0"} 2')


ANSWERS: dict[str, Callable[[], bytes]] = {
    "b": lambda: late("docs-b"),
    "doubles": doubled,
    "liar": about_others,
    "many": lambda: lines(*(f'appliance_index_paths{{backup="{it}"}} 1' for it in range(SAMPLES_MAX + 1))),
    "large": lambda: b"# " + b"x" * BYTES_MAX + b"\nappliance_bundle_serial 1\n",
    "wide": lambda: lines(f'appliance_index_paths{{backup="{"x" * (LABEL_VALUE_MAX + 1)}"}} 1'),
}
REFUSED = ("many", "large", "wide")


class Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.end_headers()
        self.wfile.write(self.server.answer)  # type: ignore[attr-defined]

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A monitoring site that has evaluated its rules over what all of them say."""
    servers = {}
    for name, answer in ANSWERS.items():
        servers[name] = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        servers[name].answer = answer()  # type: ignore[attr-defined]
        threading.Thread(target=servers[name].serve_forever, daemon=True).start()
    folder = tmp_path_factory.mktemp("watching") / "site"
    watching = Site("watcher", folder, dict(zip(PORTS, free_ports("127.0.0.1", len(PORTS)), strict=True)))
    watched = [Watched(name, f"site-{name}", it.server_port) for name, it in servers.items()]
    try:
        watching.start(watched, (watching,), "http://127.0.0.1:9/")
        wait(lambda: len(watching.ask('up{job="appliance"}')) == len(ANSWERS))
        wait(
            lambda: any(watching.ask('prometheus_rule_group_iterations_total{rule_group=~".*sauvegarde"} > 3').values())
        )
        wait(lambda: len(watching.ask('count_over_time(up{job="appliance"}[1h]) > 5')) == len(ANSWERS))
        yield watching
    finally:
        watching.stop()
        for server in servers.values():
            server.shutdown()
            server.server_close()


def wait(happened: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, "Prometheus did not come so far"
        time.sleep(0.2)


def test_no_rule_fails_whatever_a_node_says(site: Site) -> None:
    failures = site.ask("prometheus_rule_evaluation_failures_total")
    assert failures, "Prometheus tells of its rules"
    assert {labels: it for labels, it in failures.items() if it} == {}


def test_the_late_backup_of_another_town_is_told_beside_a_node_with_a_label_too_many(site: Site) -> None:
    late = site.ask('ALERTS{alertname="SauvegardeTresEnRetard",alertstate="firing",backup="docs-b"}')
    assert [dict(labels)["node"] for labels in late] == ["b"]


def test_a_node_that_says_what_peers_hold_adds_no_copy_and_covers_no_lack(site: Site) -> None:
    assert list(site.ask('backup:fresh_copies:count{backup="docs-b"}').values()) == [0]
    assert site.ask('appliance_replica_newest_archive_timestamp_seconds{node="liar"}') == {}
    told = site.ask('ALERTS{alertname="CopiesInsuffisantes",backup="docs-b"}')
    assert len(told) == 1


def test_only_known_names_with_their_own_labels_are_kept(site: Site) -> None:
    said = site.ask('{node="doubles",__name__=~"appliance_.+"}')
    own = {
        "backup",
        "peer",
        "kind",
        "check",
        "role",
        "subject",
        "recipient",
        "source",
        "version",
        "commune",
        "insee",
        "origin",
    }
    assert said
    assert {name for labels in said for name, _ in labels} <= {*own, "node", "site", "job", "instance"}
    assert site.ask('backup:fresh_copies:count{job="appliance"}') == {}
    assert site.ask('{node="liar",__name__=~"node_.*"}') == {}, "what node_exporter tells is not the agent's to tell"


@pytest.mark.parametrize("node", REFUSED)
def test_an_answer_beyond_the_bounds_counts_as_none(site: Site, node: str) -> None:
    assert list(site.ask(f'up{{job="appliance",node="{node}"}}').values()) == [0]
    assert site.ask(f'{{node="{node}",__name__=~"appliance_.*"}}') == {}
