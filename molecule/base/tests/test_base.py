"""The state of a host after bootstrap, as a person finds it."""

from __future__ import annotations

from testinfra.host import Host


def test_it_keeps_french_time_and_takes_security_updates_only(node: Host) -> None:
    assert node.file("/etc/localtime").linked_to.endswith("Europe/Paris")
    assert node.package("unattended-upgrades").is_installed
    shown = node.check_output("apt-config dump Unattended-Upgrade::Origins-Pattern")
    assert "Debian-Security" in shown
    assert shown.count("origin=") == 1


def test_nobody_gets_in_by_a_password(node: Host) -> None:
    shown = node.check_output("sshd -T")
    assert "passwordauthentication no" in shown
    assert "kbdinteractiveauthentication no" in shown
    asked = "ssh -o BatchMode=no -o PubkeyAuthentication=no -o StrictHostKeyChecking=no localhost true"
    refused = node.run(f"{asked} || echo ended with $?")
    assert refused.stdout == "ended with 255\n"
    assert "Permission denied (publickey)" in refused.stderr


def test_nothing_listens_but_sshd(node: Host) -> None:
    listening = node.check_output("ss -Hltnp")
    assert {line.split('"')[1] for line in listening.splitlines()} <= {"sshd", "systemd"}


def test_a_masked_service_does_not_start(node: Host) -> None:
    refused = node.run("systemctl start avahi-daemon.service")
    assert refused.rc != 0
    assert "masked" in refused.stderr
