"""The messages of a control machine before it changes anything, and after a machine did not answer."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from appliance.host.command import Result
from appliance_lab.processes.node import free_ports
from tests.integration.ansible.control import ROOT, Control

PLAYBOOKS = sorted(path.name for path in (ROOT / "playbooks").glob("*.yml"))
LOOPBACK = "127.0.0.1"


def listed(result: Result) -> Any:
    assert result.exit_code == 0, result.stderr.decode()
    return json.loads(result.stdout)


def test_the_folder_and_the_file_are_the_same_inventory(control: Control) -> None:
    for beside in ("known_hosts", "bundle", "recovery.pub", "territory.pub"):
        (control.folder / beside).write_text("no inventory\n")
    (control.folder / "keys").mkdir()
    (control.folder / "keys" / "commune-a.json").write_text("{}")
    folder, file = (control.inventory("--list", source=source) for source in ("", "territory.yml"))
    assert listed(folder) == listed(file)
    assert listed(folder)["nodes"]["hosts"] == ["hermitage", "commune-a", "commune-b", "commune-c"]
    assert listed(folder)["site_commune_a"]["hosts"] == ["commune-a"]
    assert folder.stderr == b""


def test_variables_of_one_node_are_beside_the_product_s_own(control: Control) -> None:
    control.is_local("commune-a")
    shown = listed(control.inventory("--host", "commune-a"))
    assert (shown["ansible_connection"], shown["appliance_offered_bytes"]) == ("local", 5 * 2**30)


MISTAKES = [
    pytest.param(
        ("10.77.2.10", "10.77.1.10"),
        "territory.yml:34  sites > commune-b > nodes[0] > address: "
        "10.77.1.10 port 22 is already the address of a node at commune-a; give each its own.",
        id="a_duplicate_address",
    ),
    pytest.param(
        ("zones: [plateau]", "zones: [plateua]"),
        'territory.yml:32  sites > commune-b > zones[0]: unknown "plateua"; known: heights, valley, plateau, forest',
        id="an_unknown_zone",
    ),
    pytest.param(
        ("offered: 8G", "offered: 80G"),
        "territory.yml:34  sites > commune-b > nodes[0] > offered: offers 80 GiB of a disk of 20 GiB; "
        "offer less, or correct the disk.",
        id="more_offered_than_the_disk",
    ),
    pytest.param(
        ("copies: 2", "copies: 4"),
        "territory.yml:47  services > docs-a > copies: is 4, but the zones allow only 3 in failure domains "
        "distinct from that of commune-a and from each other; "
        "ask for 3 at most, or let a node in another zone offer space.",
        id="fewer_failure_domains_than_copies",
    ),
]


@pytest.mark.parametrize(("change", "sentence"), MISTAKES)
def test_a_mistake_in_the_territory_ends_site_with_its_sentence_alone(
    control: Control, change: tuple[str, str], sentence: str
) -> None:
    control.change(change)
    result = control.play("site.yml")
    assert (result.exit_code, result.stdout, result.stderr.decode()) == (2, b"", f"{sentence}\n")


def test_it_ends_every_other_tool_that_reads_the_inventory_too(control: Control) -> None:
    change, sentence = MISTAKES[0].values
    control.change(change)
    result = control.inventory("--list")
    assert (result.exit_code, result.stderr.decode()) == (2, f"{sentence}\n")


def test_a_missing_territory_is_no_empty_one(tmp_path: Path) -> None:
    result = Control(tmp_path).play("site.yml")
    assert result.exit_code != 0
    assert f"Completely failed to parse inventory source {tmp_path}" in result.stderr.decode()


@pytest.mark.parametrize("name", PLAYBOOKS)
def test_every_playbook_can_be_read(name: str, control: Control) -> None:
    result = control.play(name, "--syntax-check")
    assert (result.exit_code, result.stderr.decode()) == (0, "")


SHOWN = """
- hosts: hermitage
  gather_facts: false
  vars_files: [{role}/defaults/main.yml, {role}/vars/main.yml]
  tasks:
    - ansible.builtin.debug:
        msg: "{{{{ {expression} }}}}"
"""


def shown(control: Control, role: str, expression: str) -> str:
    """Return a role's settings at hermitage, as Ansible prints them."""
    playbook = control.folder / "show.yaml"
    playbook.write_text(SHOWN.format(role=ROOT / "roles" / role, expression=expression))
    result = control.play(str(playbook))
    assert result.exit_code == 0, result.stdout.decode()
    return result.stdout.decode()


def test_the_copy_of_the_control_folder_has_what_was_issued_and_nothing_that_is_on_its_way(control: Control) -> None:
    copied = ("bundle", "packages.asc", "host_vars/commune-a.yml", "pki/intermediate.key", "pki/root.pem")
    copied += ("pki/issued/1a2b.pem", "pki/nodes/commune-a.pem", "pki/chains/commune-a.pem", "pki/revoked.pem")
    for name in (*copied, "keys/commune-a.json", "grants/docs-a.grant", "pki/requests/commune-a.csr"):
        (control.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (control.folder / name).write_text("{}\n")
    said = shown(
        control, "control", "control_names | difference(['show.yaml', 'group_vars/nodes.yml']) | sort | join(' ')"
    )
    assert f'"msg": "{" ".join(sorted((*copied, "territory.yml")))}"' in said


def test_operators_of_the_inventory_come_with_the_bundle(control: Control) -> None:
    (control.folder / "territory.pub").write_text("ssh-ed25519 AAAA\n")
    (control.folder / "group_vars/all.yml").write_text("firewall_operators: [192.0.2.0/24, 2001:db8::/32]\n")
    said = shown(control, "agent", "agent_setup | join(' ')")
    assert "AAAA --operator=192.0.2.0/24 --operator=2001:db8::/32" in said


@pytest.mark.parametrize(
    ("signed", "left_out"),
    [
        pytest.param(None, set(), id="before_anything_is_signed"),
        pytest.param({"nodes": {"commune-b": {}}}, set(), id="none_revoked"),
        pytest.param({"nodes": {}, "revoked": [{"node": "commune-b"}]}, {"10.77.2.10"}, id="revoked"),
        pytest.param({"nodes": {"commune-b": {}}, "revoked": [{"node": "commune-b"}]}, set(), id="another_box_since"),
    ],
)
def test_who_is_asked_for_the_key_of_a_disk_lets_in_all_nodes_but_revoked_ones(
    control: Control, signed: dict[str, Any] | None, left_out: set[str]
) -> None:
    if signed is not None:
        (control.folder / "bundle").write_text(json.dumps(signed) + "\nsignature\n")
    said = shown(
        control, "storage", f"lookup('ansible.builtin.template', '{ROOT}/roles/storage/templates/tang.nft.j2')"
    )
    addresses = sorted({f"10.77.{number}.10" for number in range(4)} - left_out)
    assert f"ip saddr {{ {', '.join(addresses)} }} tcp dport 7654 accept" in said


RUNS = """
- hosts: commune-b
  gather_facts: false
  tasks:
    - ansible.builtin.import_role: {name: storage, tasks_from: run}
      vars:
        storage_answer: {encryption: none}
        base_there: [/etc/systemd/system/tangd.socket.d/50-appliance.conf]
"""


@pytest.mark.parametrize(("servers", "told"), [("[hermitage]", True), ("[hermitage, commune-b]", False)])
def test_who_goes_on_helping_with_disks_though_no_longer_named_is_told(
    control: Control, servers: str, told: bool
) -> None:
    (control.folder / "runs.yaml").write_text(RUNS)
    said = control.play(str(control.folder / "runs.yaml"), "-e", f"{{storage_tang_servers: {servers}}}")
    assert said.exit_code == 0, said.stdout.decode()
    assert ("commune-b: goes on helping others open their disks" in said.stdout.decode()) is told


WHICH = "node of territory.yml it is: -e node=NAME. Known: hermitage, commune-a, commune-b, commune-c."
BLOB = "AAAAC3NzaC1lZDI1NTE5AAAAIJ6mOzTYf3yQx7v0h1kZb2p9Yk4mQ8dWcR5sT1uVwXyZ"
REFUSED = [
    pytest.param("add_node", (), f"Say which {WHICH}", id="nobody_to_add"),
    pytest.param("replace_node", ("-e", "node=commune-x"), f"Say which {WHICH}", id="an_unknown_one_to_replace"),
    pytest.param("remove_node", (), "Say which node leaves: -e node=NAME. Known: hermitage, ", id="nobody_to_remove"),
    pytest.param(
        *("remove_node", ("-e", "node=hermitage")),
        "hermitage still has roles in territory.yml: control, mirror, monitor. Take them away there, ",
        id="one_that_watches_and_serves",
    ),
    pytest.param(
        *("remove_node", ("-e", "node=commune-b", "-e", '{"storage_tang_servers": ["hermitage", "commune-b"]}')),
        "commune-b helps other nodes open their disks. Name another node in its place in storage_tang_servers",
        id="one_that_others_need_to_open_their_disks",
    ),
    pytest.param("rotate_keys", (), "Say which keys: -e kind=ssh, mesh or tls. What signs, ", id="no_kind_of_keys"),
    pytest.param("rotate_keys", ("-e", "kind=age"), "Say which keys: -e kind=ssh, mesh or tls. ", id="another_kind"),
    pytest.param("revoke_node", (), "Nobody is not revoked in ", id="nobody_to_revoke"),
    pytest.param(
        *("revoke_node", ("-e", "node=commune-a")),
        "appliance node revoke commune-a --reason WHY --territory . --key KEY",
        id="one_whom_nobody_revoked",
    ),
    pytest.param(
        *("revoke_node", ("-e", "node=commune-b", "-e", f"revoke_operator_key=ssh-ed25519 {BLOB}")),
        'revoke_operator_key is "ssh-ed25519", and a key is its type and a long word that begins with AAAA. Quote it ',
        id="half_a_key_of_an_operator",
    ),
    pytest.param(
        *("revoke_node", ("-e", "node=commune-b", "-e", f"revoke_operator_key='{BLOB} maintenance'")),
        f'revoke_operator_key is "{BLOB} maintenance", and a key is its type and a long word',
        id="a_comment_that_others_have_too",
    ),
    pytest.param(
        *("revoke_node", ("-e", "node=commune-b", "-e", "revoke_operator_key='ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI'")),
        "and a key is its type and a long word",
        id="the_beginning_that_all_keys_have",
    ),
]


@pytest.mark.parametrize(("name", "words", "sentence"), REFUSED)
def test_a_playbook_refuses_to_guess_before_any_change(
    control: Control, name: str, words: tuple[str, ...], sentence: str
) -> None:
    (control.folder / "bundle").write_text('{"nodes": {"commune-a": {}}, "revoked": [{"node": "commune-b"}]}\n')
    result = control.play(f"{name}.yml", *words)
    said = " ".join((result.stdout + result.stderr).decode().split())
    assert result.exit_code == 2
    assert sentence in said
    assert set(re.findall(r"changed=\d+", said)) == {"changed=0"}


def test_in_check_mode_nodes_are_asked_for_their_keys_and_make_none(
    control: Control, monkeypatch: pytest.MonkeyPatch
) -> None:
    (control.folder / "bundle").write_text('{"nodes": {"commune-b": {"keys": {"ssh": "former"}}}}\n')
    control.is_local("commune-b")
    there = control.program("appliance", f'echo "$@" >>{control.folder}/asked\necho \'{{"keys": {{"ssh": "new"}}}}\'')
    monkeypatch.setenv("PATH", f"{there}:{os.environ['PATH']}")
    result = control.play("rotate_keys.yml", "-e", "kind=ssh", "--check", "--limit", "commune-b")
    said = result.stdout.decode()
    assert result.exit_code == 0, said
    assert "waits for its keys to be signed" in said
    assert (control.folder / "asked").read_text() == "internal node keys --user vault-\n"
    assert not (control.folder / "keys").exists()


UPS = """
- hosts: commune-b
  gather_facts: false
  tasks:
    - ansible.builtin.import_role: {name: exporters, tasks_from: ups}
      vars:
        exporters_ups: {name: ups, driver: usbhid-ups, port: auto}
        exporters_ups_secret: "{{ appliance_inventory }}/password"
"""


def test_in_check_mode_a_ups_that_was_just_named_has_no_password_yet(control: Control) -> None:
    control.is_local("commune-b")
    (control.folder / "ups.yaml").write_text(UPS)
    said = control.play(str(control.folder / "ups.yaml"), "--check").stdout.decode()
    assert "Write down what the UPS says" in said, "the last of the tasks is come to"
    assert not (control.folder / "password").exists()


def test_an_offer_larger_than_the_real_disk_is_refused_with_file_and_line(control: Control) -> None:
    for node in ("hermitage", "commune-a", "commune-b", "commune-c"):
        control.is_local(node)
    control.change(("disk: 20G", "disk: 8000T"), ("offered: 8G", "offered: 7000T"))
    result = control.play("preflight.yml")
    assert result.exit_code == 2
    said = result.stdout.decode() + result.stderr.decode()
    assert "territory.yml:34: commune-b offers 6.84 PB" in said
    assert "changed=0" in said


def test_a_disk_by_a_name_that_may_be_another_tomorrow_is_refused_before_any_change(control: Control) -> None:
    control.is_local("commune-b")
    (control.folder / "host_vars/commune-b.yml").write_text("ansible_connection: local\nstorage_disk: /dev/sda\n")
    result = control.play("preflight.yml", "--limit", "commune-b", "-e", "storage_encryption=none")
    said = " ".join((result.stdout + result.stderr).decode().split())
    assert result.exit_code == 2
    assert "commune-b: storage_disk is /dev/sda; such names change from boot to boot" in said
    assert "changed=0" in said


def test_a_setting_of_a_wrong_kind_is_refused_before_any_change(control: Control) -> None:
    control.is_local("commune-b")
    result = control.play("preflight.yml", "--limit", "commune-b", "-e", "storage_tang_threshold=two")
    said = " ".join((result.stdout + result.stderr).decode().split())
    assert result.exit_code == 2
    assert "commune-b failed at: preflight : Refuse settings of a wrong kind" in said
    assert "argument 'storage_tang_threshold' is of type str and we were unable to convert to int" in said
    assert "changed=0" in said


def test_after_a_machine_did_not_answer_the_others_are_done_and_the_summary_says_what_to_type(control: Control) -> None:
    (port,) = free_ports(LOOPBACK, 1)
    for node in ("hermitage", "commune-b", "commune-c"):
        control.is_local(node)
    control.change(("10.77.1.10, port: 22", f"{LOOPBACK}, port: {port}"))
    result = control.play("preflight.yml", "--limit", "all")
    said = result.stdout.decode()
    assert result.exit_code == 4
    assert said.count("failed=0") == 4
    assert "commune-a could not be reached at: storage : Look at the data volume" in said
    line = next(line for line in said.splitlines() if line.strip().startswith("ansible-playbook"))
    assert line.split() == [
        *("ansible-playbook", "-i", str(control.folder), str(ROOT / "playbooks" / "preflight.yml")),
        *("--limit", "commune-a"),
    ]
    assert os.linesep + "After the repair" in said


STOPS = """
- hosts: nodes
  gather_facts: false
  connection: local
  {words}
  tasks:
    - ansible.builtin.fail: {{msg: not now}}
      when: inventory_hostname == "commune-a"
"""


@pytest.mark.parametrize(
    ("name", "words", "line"),
    [
        pytest.param("site", "order: inventory", ("--limit", "commune-a"), id="the_others_are_done"),
        pytest.param("site", "max_fail_percentage: 0", (), id="it_stopped_all_of_them"),
        pytest.param("upgrade", "serial: 1", (), id="those_after_it_were_left_as_they_were"),
        pytest.param("remove_node", "order: inventory", (), id="the_others_say_whether_it_may_leave"),
    ],
)
def test_whom_the_summary_says_to_run_again_is_whoever_lacks_something(
    control: Control, name: str, words: str, line: tuple[str, ...]
) -> None:
    playbook = control.folder / "playbooks" / f"{name}.yml"
    playbook.parent.mkdir()
    playbook.write_text(STOPS.format(words=words))
    said = control.play(str(playbook), "-e", "a=b").stdout.decode()
    found = next(it for it in said.splitlines() if it.strip().startswith("ansible-playbook"))
    assert found.split() == ["ansible-playbook", "-i", str(control.folder), str(playbook), "-e", "a=b", *line]


LOOKS = """
- hosts: commune-b
  gather_facts: false
  tasks:
    - ansible.builtin.import_role: {name: upgrade, tasks_from: before}
"""


def test_an_upgrade_is_looked_at_from_the_first_neighbour_that_answers(
    control: Control, monkeypatch: pytest.MonkeyPatch
) -> None:
    (port,) = free_ports(LOOPBACK, 1)
    control.change(("10.77.0.10, port: 22", f"{LOOPBACK}, port: {port}"))
    for node in ("commune-a", "commune-b"):
        control.is_local(node)
    # Who ends before it read what it is given breaks the pipe of the module that gives it.
    reads = 'case "$*" in *stdin) cat >/dev/null ;; esac'
    there = control.program("appliance", f'{reads}\necho "$@" >>{control.folder}/asked\necho {{}}')
    monkeypatch.setenv("PATH", f"{there}:{os.environ['PATH']}")
    (control.folder / "looks.yaml").write_text(LOOKS)
    result = control.play(str(control.folder / "looks.yaml"))
    assert result.exit_code == 0, result.stdout.decode()
    asked = dict.fromkeys((control.folder / "asked").read_text().splitlines())  # again, while it is busy
    assert list(asked) == ["--json status", "--json status --not-worse-than /dev/stdin", "--json vault ping commune-b"]
    assert "[commune-b -> commune-a" in result.stdout.decode()


@pytest.mark.parametrize("votes", [True, False])
def test_an_upgrade_goes_on_once_the_voter_has_found_the_others_and_waits_no_longer_than_its_tries(
    votes: bool, control: Control, monkeypatch: pytest.MonkeyPatch
) -> None:
    for node in ("commune-a", "commune-b"):
        control.is_local(node)
    control.program("appliance", 'case "$*" in *stdin) cat >/dev/null ;; esac\necho {}')
    asked, starts = f"exit {0 if votes else 1}", f'echo "$*" >>{control.folder}/done; sleep 60'
    there = control.program("systemctl", f'case "$*" in *is-enabled*) {asked} ;; *) {starts} ;; esac')
    monkeypatch.setenv("PATH", f"{there}:{os.environ['PATH']}")
    (control.folder / "looks.yaml").write_text(LOOKS.replace("before", "after"))
    of_agent = {"agent_version": "1", "agent_present": "1", "agent_folder": "/"}
    told_to = {"upgrade_tries": 1, "upgrade_was": {"stdout": "{}"}, "upgrade_neighbours": ["commune-a"], **of_agent}
    result = control.play(str(control.folder / "looks.yaml"), "--limit", "commune-b", "-e", json.dumps(told_to))
    assert result.exit_code == 0, result.stdout.decode()
    done = control.folder / "done"
    assert done.exists() is votes
    assert not votes or done.read_text() == "start appliance-voter.service\n"
