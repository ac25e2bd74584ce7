"""The addressees of alerts as the role monitoring takes them: what it installs for them, and which it refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from appliance.host.command import Result, run

ROOT = Path(__file__).parents[3]
ROLE = ROOT / "roles/monitoring"
PLAY = """
- hosts: monitor
  gather_facts: false
  connection: local
  vars_files: [{role}/defaults/main.yml, {folder}/declared.json]
  vars: {{monitoring_others: [], monitoring_called: [], appliance_mesh: ''}}
  tasks:
    - ansible.builtin.import_tasks: {role}/tasks/preflight.yml
    - ansible.builtin.copy:
        content: "{{{{ monitoring_packages | to_json }}}}"
        dest: {folder}/packages.json
        mode: "0644"
"""
MAIL = {"host": "smtp.x.fr", "port": 587, "from": "a@x.fr", "to": ["b@x.fr"]}
URL = "tgram://s3cr3t-of-the-bot/1"


def played(folder: Path, addressees: dict[str, Any]) -> Result:
    (folder / "declared.json").write_text(json.dumps({"monitoring_addressees": addressees}))
    (folder / "inventory").write_text("[monitor]\nhermitage appliance_site=hermitage\n")
    (folder / "play.yml").write_text(PLAY.format(role=ROLE, folder=folder))
    argv = ("ansible-playbook", "-v", "-i", str(folder / "inventory"), str(folder / "play.yml"))
    env = {"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_HOME": str(folder / "home"), "LC_ALL": "C.UTF-8"}
    env["ANSIBLE_INVENTORY_ENABLED"] = "ini"
    return run(argv, timeout_seconds=120, env=env, cwd=folder)


@pytest.mark.parametrize(
    ("addressees", "installed"), [({"m": MAIL}, False), ({"m": MAIL, "c": {"apprise": URL}}, True)]
)
def test_apprise_is_installed_where_somebody_is_reached_by_it(
    addressees: dict[str, Any], installed: bool, tmp_path: Path
) -> None:
    done = played(tmp_path, addressees)
    assert done.exit_code == 0, done.stdout.decode()
    packages = json.loads((tmp_path / "packages.json").read_text())
    assert ("apprise" in packages, "prometheus" in packages) == (installed, True)
    assert "s3cr3t" not in done.stdout.decode()


def test_an_addressee_of_no_known_kind_is_refused_by_its_name_and_no_secret_is_shown(tmp_path: Path) -> None:
    done = played(tmp_path, {"m": MAIL, "fax": {"number": "s3cr3t-number"}, "chat": {"apprise": URL}})
    said = " ".join(done.stdout.decode().split())
    assert (done.exit_code, (tmp_path / "packages.json").exists()) == (2, False), said
    assert "monitoring_addressees does not say how fax is reached: give each one of host (e-mail)" in said
    assert "s3cr3t" not in said
