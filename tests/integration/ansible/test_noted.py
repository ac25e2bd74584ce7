"""The line of a playbook that waits for a signature, noted where the key holder's commands find it."""

from __future__ import annotations

from tests.integration.ansible.control import Control

WAITS = """
- hosts: commune-a
  gather_facts: false
  connection: local
  tasks:
    - ansible.builtin.set_stats:
        data: {waiting: [waits], next: [appliance territory sign valley]}
        per_host: true
        aggregate: true
      when: waits | default(true) | bool
"""


def test_what_waits_for_a_signature_is_noted_until_the_same_line_ends_with_nothing_left(control: Control) -> None:
    playbook, again = control.folder / "add.yaml", control.folder / "requests/again"
    playbook.write_text(WAITS)
    control.play(str(playbook), "--check")
    assert not again.exists()
    control.play(str(playbook), "-e", "node=a b")
    assert again.read_text() == f"ansible-playbook -i {control.folder} {playbook} -e 'node=a b'\n"
    (control.folder / "group_vars/all.yml").write_text("waits: false\n")
    control.play(str(playbook))
    assert again.exists(), "another line leaves it"
    control.play(str(playbook), "-e", "node=a b")
    assert not again.exists()
