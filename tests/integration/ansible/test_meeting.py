"""The role meet tells first contact the way and the key that the playbooks themselves were told."""

from __future__ import annotations

from tests.integration.ansible.control import Control

MARK = "SHA256:" + "A" * 43
RECORDS = """printf '%s\\n' "$@" >FOLDER/typed; echo '{"known": false}'"""


def typed(control: Control, variables: str) -> list[str]:
    """The arguments of `appliance` when a playbook met commune-b with these variables of its inventory."""
    control.is_local("commune-b")
    (control.folder / "group_vars/all.yml").write_text(f"---\n{variables}")
    program = control.program("appliance", RECORDS.replace("FOLDER", str(control.folder))) / "appliance"
    words = ("-e", "node=commune-b", "-e", f"fingerprint={MARK}", "-e", f"meet_appliance={program}")
    played = control.play("new_machine.yml", *words)
    assert played.exit_code == 0, played.stdout.decode()
    return (control.folder / "typed").read_text().splitlines()


def test_settings_and_identity_of_the_inventory_are_passed_on(control: Control) -> None:
    words = typed(
        control, "ansible_ssh_extra_args: -F /labs/mine/ssh_config\nansible_ssh_private_key_file: /labs/key\n"
    )
    assert words[1:5] == ["node", "trust-host-key", "commune-b", "--fingerprint"]
    assert words[-4:] == ["--ssh-config", "/labs/mine/ssh_config", "--identity", "/labs/key"]


def test_without_any_ssh_s_own_settings_are_left_to_it(control: Control) -> None:
    words = typed(control, "firewall_operators: []\n")
    assert words[-2:] == ["--territory", str(control.folder)]
