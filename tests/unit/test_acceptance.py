"""The acceptance suite looks and changes nothing, runs only where somebody names hosts, and refuses in a sentence."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from appliance.provision import firewall
from tests.acceptance.looking import COMMANDS, admitted
from tests.unit.repository import ROOT

# The words, or the beginning of them, that make each program only look.
LOOKING = (
    *("id -u", "date +%s", "cat /etc/nftables.conf", "getent shadow", "sshd -T"),
    *("systemctl list-units", "systemd-detect-virt --container", "timedatectl show", "nft list", "dpkg-query --show"),
    *("apt-config dump", "appliance --json status", "appliance --json vault ping", "appliance --json voter show"),
)
SCRIPT = ROOT / "scripts/acceptance"
SUITE = ROOT / "tests/acceptance"


@pytest.mark.parametrize("command", COMMANDS.values())
def test_every_command_of_the_suite_only_looks(command: str) -> None:
    assert command.startswith(LOOKING) or "--dry-run" in command.split()
    assert not re.search(r"[;&|<>`\n]|\$\(", command), "one program, and no redirection"


def test_the_tests_send_no_command_but_those_of_the_list() -> None:
    sent = {
        f"{file.name}: {found}"
        for file in SUITE.glob("*.py")
        for found in re.findall(r"\.(?:run|run_test|check_output|run_expect|ansible)\([^)]*\)", file.read_text())
        if "COMMANDS[" not in found
    }
    assert sent == {"conftest.py: .run(words, capture_output=True, check=False)"}, "that one ends our own connections"


@pytest.mark.long
def test_without_hosts_nothing_of_it_is_collected() -> None:
    argv = (sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--collect-only", "-q", "tests/acceptance")
    found = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert (found.returncode, "no tests collected" in found.stdout) == (pytest.ExitCode.NO_TESTS_COLLECTED, True)


@pytest.mark.parametrize(
    ("words", "say"),
    [
        ((), "acceptance: no inventory is named. Type: make acceptance INVENTORY=inventory/NAME\n"),
        (("/nonexistent",), "acceptance: /nonexistent/territory.yml: there is no such file. Name the folder of terri"),
    ],
)
def test_an_inventory_that_is_none_is_refused_before_anybody_is_asked(words: tuple[str, ...], say: str) -> None:
    found = subprocess.run((SCRIPT, *words), capture_output=True, text=True, timeout=60, check=False)
    assert (found.returncode, found.stdout) == (3, "")
    assert found.stderr.startswith(say)


@pytest.mark.long
def test_a_territory_with_a_mistake_is_refused_with_its_line(tmp_path: Path) -> None:
    text = (ROOT / "inventory/lab/territory.yml").read_text()
    (tmp_path / "territory.yml").write_text(text.replace("zones: [heights]", "zones: [depths]"))
    found = subprocess.run((SCRIPT, tmp_path), capture_output=True, text=True, timeout=60, check=False)
    assert (found.returncode, found.stdout) == (3, "")
    assert re.search(r'territory\.yml:\d+ .*unknown "depths"', found.stderr)
    assert "Traceback" not in found.stderr


def test_what_rules_admit_is_read_from_their_text() -> None:
    rules = """
        tcp dport 22 accept
        iifname "mesh0" ip saddr { 10.64.0.2, 10.64.0.3 } tcp dport { 9100, 9470 } accept
        udp dport 51820 accept
        iifname != "mesh0" ip daddr 10.64.0.1 drop
        ip saddr 10.77.1.0/24 tcp dport 445 ct state new limit rate 5/second accept
        udp sport 67 udp dport 68 accept
        tcp dport 23 drop
    """
    assert admitted(rules) == {
        *(("tcp", port) for port in (22, 445, 9100, 9470)),
        *(("udp", port) for port in (68, 51820)),
    }


def test_the_usual_rules_of_a_node_are_read_too() -> None:
    assert admitted("\n".join(firewall._USUAL)) == {("udp", 68), ("udp", 546)}
