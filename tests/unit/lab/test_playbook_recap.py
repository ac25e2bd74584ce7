"""The result of a playbook is read from Ansible's own recap."""

from __future__ import annotations

from appliance_lab.hosts.playbook import Played, read_recap

TEXT = """
TASK [base : Install] ****
ok: [commune-a]

PLAY RECAP *********************************************************************
commune-a                  : ok=40   changed=3    unreachable=0    failed=0    skipped=2    rescued=0    ignored=0
hermitage                  : ok=41   changed=0    unreachable=1    failed=0    skipped=2    rescued=0    ignored=0
Took 31.0 s. base 5.0 s
"""


def played(text: str) -> Played:
    return Played("site", 0, text, 31.0, read_recap(text))


def test_each_node_has_its_counts() -> None:
    recap = read_recap(TEXT)
    assert sorted(recap) == ["commune-a", "hermitage"]
    assert (recap["commune-a"]["ok"], recap["hermitage"]["unreachable"]) == (40, 1)


def test_changes_are_counted_on_all_nodes() -> None:
    assert played(TEXT).changed == 3


def test_a_run_that_never_came_to_its_recap_has_none() -> None:
    assert read_recap("territory.yml:34  sites > commune-b: 10.77.1.10 is already the address of a node\n") == {}


def test_what_went_wrong_is_the_failure_and_not_what_is_printed_after_it() -> None:
    text = f'fatal: [commune-a]: FAILED! => {{"msg": "no key"}}\n{TEXT}After the repair, run for them alone\n'
    assert played(text).tail() == 'fatal: [commune-a]: FAILED! => {"msg": "no key"}'
    assert played("ERROR! the playbook could not be found\n").tail() == "ERROR! the playbook could not be found"
