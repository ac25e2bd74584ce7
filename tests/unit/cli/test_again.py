"""The playbook that waits for a signature: what the key holder is shown of its line, and what is no such line."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.cli.territory.again import noted_in, read_line

LINE = "ansible-playbook -i inventory/vallee playbooks/replace_node.yml -e node=a"


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        (f"{LINE}\n", LINE),
        (LINE, LINE),
        (f"{LINE} 'two words'\n", f"{LINE} 'two words'"),
        (f"{LINE}; rm -r x\n", "ansible-playbook -i inventory/vallee playbooks/replace_node.yml -e 'node=a;' rm -r x"),
        (f"{LINE} $(date)\n", f"{LINE} '$(date)'"),
        ("rm -r x\n", ""),
        (f"{LINE}\n{LINE}\n", ""),
        (f"{LINE} \x1b[2J\n", ""),
        (f"{LINE} 'open\n", ""),
        (f"{LINE} {'x' * 5000}\n", ""),
        ("", ""),
    ],
)
def test_one_playbook_is_shown_as_one_command_and_nothing_else_is(raw: str, shown: str) -> None:
    assert read_line(raw.encode()) == shown


def test_where_no_playbook_waits_nothing_is_noted(tmp_path: Path) -> None:
    assert noted_in(tmp_path) == ""
    (tmp_path / "again").write_text(LINE)
    assert noted_in(tmp_path) == LINE
