"""The message of the role restore on a new machine whose services only the recovery sheet opens."""

from __future__ import annotations

import os

import pytest

from tests.integration.ansible.control import Control

PLAY = """
- hosts: commune-b
  gather_facts: false
  tasks:
    - ansible.builtin.import_role: {name: restore, tasks_from: run}
      vars: {restore_folder: "{{ appliance_inventory }}/there", restore_standbys: []}
"""
OWN = "appliance-commune-b"
REASON = "its envelope was sealed to other keys."
PAPER = "appliance escrow import-keys --recovery-sheet"
APPLIANCE = """
case "$*" in
*"restore node"*) exit 3 ;;
*"internal account sync"*) echo '{"changed": []}' ;;
*--grant*) [ -e FOLDER/there/OWN.grant ] || exit 3
    [ -e FOLDER/paper ] && echo '{"grants": [{"service": "OWN"}], "failed": {}}' && touch FOLDER/continued && exit
    echo '{"grants": [], "failed": {"OWN": "REASON"}}'; exit 8 ;;
*--request*) [ ! -e FOLDER/continued ] || exit 3
    echo asked >FOLDER/there/OWN.request; echo '{"services": [{"service": "OWN", "opens": false}]}' ;;
esac
"""


def test_what_takes_the_paper_is_named_with_the_request_and_again_while_it_was_not_typed(
    control: Control, monkeypatch: pytest.MonkeyPatch
) -> None:
    control.is_local("commune-b")
    for name in ("there", "requests"):
        (control.folder / name).mkdir()
    (control.folder / "play.yaml").write_text(PLAY)
    program = APPLIANCE.replace("FOLDER", str(control.folder)).replace("OWN", OWN).replace("REASON", REASON)
    monkeypatch.setenv("PATH", f"{control.program('appliance', program)}:{os.environ['PATH']}")

    def played(code: int) -> str:
        result = control.play(str(control.folder / "play.yaml"))
        assert result.exit_code == code, result.stdout.decode()
        return " ".join((result.stdout + result.stderr).decode().split())

    said = played(0)
    assert f"{OWN} takes the paper, too. On commune-b: {PAPER}" in said
    assert f"{OWN}.request --bundle" in said
    assert f"--out {control.folder}/grants/" in said
    (control.folder / f"grants/{OWN}.grant").write_text("granted\n")
    said = played(2)
    assert f"{REASON} If it takes the paper, on commune-b: {PAPER}. Then run this again." in said
    assert (control.folder / f"grants/{OWN}.grant").exists(), "its grant is good still"
    (control.folder / "paper").touch()
    assert "paper" not in played(0).partition("PLAY RECAP")[2]
