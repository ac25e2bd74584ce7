"""Debian's Alertmanager with the configuration that the role monitoring writes."""

from __future__ import annotations

import json
import subprocess
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader

from appliance_lab.processes.node import free_ports

ROOT = Path(__file__).parents[2]


@contextmanager
def alertmanager(
    folder: Path, webhook: str, duty: Mapping[str, Any] | None = None, cluster: tuple[int, ...] = (), port: int = 0
) -> Iterator[str]:
    """Run it with the template of the role, in a hurry, and yield its address; `duty` is the roster, and `cluster` has
    its own port for the others and theirs."""
    port = port or free_ports("127.0.0.1", 1)[0]
    values = {"monitoring_group_wait": "3s", "monitoring_group_interval": "2s", "monitoring_watchdog_interval": "5m"}
    made = Environment(loader=FileSystemLoader(ROOT / "roles/monitoring/templates"), autoescape=False)
    made.filters["to_json"] = json.dumps
    written = made.get_template("alertmanager.yml.j2").render(
        values, monitoring_outbox_port="PORT", monitoring_duty=duty or {}
    )
    (folder / "alertmanager.yml").write_text(written.replace("http://127.0.0.1:PORT/", webhook))
    argv = (
        "prometheus-alertmanager",
        f"--config.file={folder / 'alertmanager.yml'}",
        f"--storage.path={folder / 'kept'}",
        f"--web.listen-address=127.0.0.1:{port}",
        f"--cluster.listen-address={f'127.0.0.1:{cluster[0]}' if cluster else ''}",
        *(f"--cluster.peer=127.0.0.1:{it}" for it in cluster[1:]),
        *(("--cluster.settle-timeout=2s", "--cluster.peer-timeout=3s") if cluster else ()),
    )
    with (folder / "log").open("wb") as log, subprocess.Popen(argv, stdout=log, stderr=log) as process:
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def is_ready(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"{address}/-/ready", timeout=5):
            return True
    except OSError:
        return False
