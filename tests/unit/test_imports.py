"""The programs that start most often import nothing that they never use: each start of a session or a run pays for its
imports."""

from __future__ import annotations

import subprocess
import sys

import pytest

from appliance_lab.checkout import code_folder


@pytest.mark.parametrize(
    ("started", "unused"),
    [
        (
            "appliance.backup.vault.__main__",
            (
                "appliance.backup.vault.maintenance.scrub",
                "appliance.backup.vault.maintenance.pruning",
                "appliance.backup.chain.retention",
            ),
        ),
        (
            "appliance.cli.main, appliance.cli.backup.run",
            ("appliance.backup.writer.keep", "appliance.restore.job", "appliance.failover.fsm.model", "difflib"),
        ),
        (
            "appliance.failover.takeover_worker",
            (
                "appliance.backup.writer.writer",
                "appliance.failover.forms.share_work",
                "appliance.failover.forms.database_work",
                "argon2",
                "asyncio",
            ),
        ),
    ],
)
def test_a_session_and_a_run_import_nothing_that_only_other_work_needs(started: str, unused: tuple[str, ...]) -> None:
    assert loaded(started, unused) == set()


CLIENTS = ("httpx", "http.client", "urllib.request", "prometheus_client", "rich", "pygments", "email.message")
LARGE = (
    "cryptography.x509",
    "appliance.trust.pki",
    "appliance.config.schema",
    "pydantic",
    "yaml",
    "jinja2",
    "starlette",
)


@pytest.mark.parametrize(
    ("started", "unused"),
    [
        ("appliance.cli.main, appliance.cli.internal.agent", (*LARGE, *CLIENTS, "asyncio", "ssl")),
        ("appliance.cli.main, appliance.cli.internal.failover.run", (*LARGE, *CLIENTS, "argon2", "sqlite3")),
        ("appliance.cli.main, appliance.cli.internal.failover.broker", (*LARGE, *CLIENTS, "argon2", "sqlite3")),
        ("appliance.monitor.exporter", (*LARGE, "cryptography", "prometheus_client", "urllib.request", "logging")),
        ("appliance.monitor.outbox_server", (*LARGE, "cryptography", "prometheus_client", "logging")),
        ("appliance.monitor.plug", (*LARGE, "cryptography", "prometheus_client", "logging")),
        ("appliance.backup.vault.sealing.sealer_server", (*LARGE, *CLIENTS, "asyncio", "ssl", "argon2", "logging")),
        ("appliance.programs.watchdog", (*LARGE, *CLIENTS, "cryptography", "click", "dataclasses", "subprocess")),
        ("appliance.programs.privileged", (*LARGE, *CLIENTS, "cryptography", "click", "ssl", "asyncio")),
        ("appliance.failover.forms.cluster", (*LARGE, *CLIENTS, "cryptography", "asyncio", "argon2")),
    ],
)
def test_a_program_that_stays_keeps_no_library_in_memory_that_it_never_uses(
    started: str, unused: tuple[str, ...]
) -> None:
    assert loaded(started, unused) == set()


def test_the_program_that_renews_leases_loads_every_probe_at_its_start() -> None:
    probes = ("appliance.failover.forms.probes", "appliance.failover.forms.smb_probe", "appliance.host.postgresql")
    assert loaded("appliance.failover.program", probes) == set(probes)


def loaded(started: str, names: tuple[str, ...]) -> set[str]:
    """Which modules of `names` there are once `started` was imported."""
    code = f"import sys, {started}; print(*[it for it in {names!r} if it in sys.modules])"
    told = subprocess.run(
        [sys.executable, "-c", code], cwd=code_folder(), capture_output=True, text=True, timeout=60, check=True
    )
    return set(told.stdout.split())
