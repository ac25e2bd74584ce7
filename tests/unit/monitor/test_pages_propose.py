"""Every page of an alert proposes a command, or the act of a person that no command can do.

That the command exists is in `tests/unit/cli/test_remedies_table.py`.
"""

from __future__ import annotations

import re

from appliance.portal.dashboard.runbooks import IN_A_CHECKOUT

PROGRAMS = "ansible-playbook|appliance|chronyc|df|journalctl|lsblk|mdadm|smartctl|systemctl|timedatectl|upsc|wg"
COMMAND = re.compile(rf"`(?:{PROGRAMS}) [^`]+`")
STEPS = re.compile(r"^## Que faire$(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
BY_A_PERSON = {
    "OnduleurARemplacer": "changez-la",
    "RecapitulatifHebdomadaire": "Lisez-le",
    "SiteInjoignable": "Appelez",
    "SurBatterie": "Appelez",
    "Surchauffe": "arrêtez",
    "SurveillanceIsolee": "appelez",
    "TestRestaurationTropLent": "promettez",
    "Watchdog": "Ne la faites jamais taire",
}
"""Pages whose steps are a call, a purchase or a reading, with a word of the act."""


def steps(name: str) -> str:
    [found] = STEPS.findall((IN_A_CHECKOUT / f"{name}.md").read_text())
    return str(found)


def test_every_page_proposes_a_command_or_the_act_of_a_person() -> None:
    pages = [it.stem for it in sorted(IN_A_CHECKOUT.glob("*.md")) if it.stem != "README"]
    assert len(pages) > 70
    assert {name for name in pages if not COMMAND.search(steps(name))} == set(BY_A_PERSON)


def test_what_a_person_does_is_on_the_page() -> None:
    for name, word in BY_A_PERSON.items():
        assert word in steps(name), name
