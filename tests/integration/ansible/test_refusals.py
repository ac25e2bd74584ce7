"""What a role refuses before it changes anything, each with its sentence."""

from __future__ import annotations

import os

import pytest

from tests.integration.ansible.control import Control


def test_another_version_than_a_node_has_is_refused_unless_that_is_asked_for(
    control: Control, monkeypatch: pytest.MonkeyPatch
) -> None:
    control.is_local("commune-b")
    there = control.program("dpkg-query", "echo installed 1.2")
    monkeypatch.setenv("PATH", f"{there}:{os.environ['PATH']}")
    words = ("preflight.yml", "--limit", "commune-b", "-e", "agent_deb=/build/deb/appliance_1.3_all.deb")
    refused = control.play(*words)
    said = " ".join((refused.stdout + refused.stderr).decode().split())
    assert refused.exit_code == 2
    assert "commune-b has version 1.2 of our package, and this would bring 1.3 to every node at once" in said
    assert control.play(*words, "-e", "agent_upgrade_anywhere=true").exit_code == 0
    control.program("dpkg-query", "echo installed 1.3")
    assert control.play(*words).exit_code == 0
