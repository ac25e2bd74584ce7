"""French ends of playbooks: every sentence of the roles, and all of a summary or none of it."""

from __future__ import annotations

import re
from pathlib import Path
from types import ModuleType

import pytest

from appliance.cli.language.choice import ENGLISH, FRENCH
from appliance.cli.language.sentences import sentences_of
from tests.unit.roles.loading import load_file

ROOT = Path(__file__).parents[3]
ROLES = sorted(it.name for it in (ROOT / "roles").iterdir())
OF_A_ROLE = re.compile(rf"[^\n#]* \((?:{'|'.join([*ROLES, 'rotate_keys'])})\)['\"\]]")
"""A line of a role that gives the summary a sentence: it ends with the name of the role."""
SENTENCES = (
    "waits for its keys to be signed (agent)",
    "docs-a waits for its grant (backup)",
    "watchdog and swap are written down and not started, and it has no clock of its own: it is a container (base)",
    "waits for its certificate before it can vote (coordination)",
    "remembers nothing, and does not vote before the other voters take it in: play site without --limit (coordination)",
    "votes with a new certificate, and no majority answered it in 60 s: on it, appliance voter show (coordination)",
    "tells nobody how it is until it has its certificate (exporters)",
    "alerts are shown and told to nobody: monitoring_addressees is empty (monitoring)",
    "there is one monitoring site: give the role monitor to a node of another site, which would tell of its silence "
    "(monitoring)",
    "waits for its certificate: the vault of secrets is closed. (pki)",
    "waits for its certificate, since the key of the intermediate could not be used (pki)",
    "shows no pages to people until it has its certificate (portal)",
    "shows no pages to people: its site has no `lan` in territory.yml, from which PCs would come (portal)",
    "docs-a waits for its grant (restore)",
    "docs-a takes the paper, too. On commune-a: appliance escrow import-keys --recovery-sheet (restore)",
    "etat-civil is a database: load its dump (restore)",
    "waits for its keys to be signed (rotate_keys)",
    "not encrypted: this machine has no TPM 2.0; what would open it was made and checked (storage)",
    "no snapshots: /srv is no btrfs (storage)",
    "no snapshots: /srv/shares is no subvolume; docs/how-to/disks.md makes it one (storage)",
    "nobody has the sheet that opens its disk when nothing else does; type on it: systemd-cryptenroll "
    "--recovery-key /dev/sda (storage)",
    "its disk will not open with commune-b, hermitage, which gave no key; docs/how-to/disks.md says how to bind it "
    "again (storage)",
    "goes on helping others open their disks, though storage_tang_servers no longer names it; docs/how-to/disks.md "
    "ends that (storage)",
    "no disk of this machine tells that it ails: smartctl --scan finds none (upkeep)",
    "no self-tests and no trim of disks: it is a container (upkeep)",
)
"""Each sentence that a role of that name gives, with values."""
OF_NO_ROLE = (
    "has left. Take it out of territory.yml, have that signed, and run site.yml: nobody lets it in any more",
    "marie of commune-b is left out: this machine already has an account of that name.",
)


def callback() -> ModuleType:
    pytest.importorskip("ansible", reason="ansible-core is not installed: scripts/setup lab")
    return load_file(ROOT / "playbooks/callbacks/summary.py")


@pytest.mark.parametrize("sentence", [*SENTENCES, *OF_NO_ROLE])
def test_what_a_role_says_of_a_host_has_its_french(sentence: str) -> None:
    french = sentences_of(FRENCH).say(f"commune-c: {sentence}")
    assert french.startswith("commune-c\u00a0: ")
    assert sentence not in french


def test_each_sentence_of_a_role_is_above() -> None:
    lines = [
        found[0].strip()
        for file in (*ROOT.glob("roles/*/tasks/*.yml"), *ROOT.glob("roles/*/vars/*.yml"))
        for found in OF_A_ROLE.finditer(file.read_text())
    ]
    assert len(lines) == len(SENTENCES), lines


LINES = (
    "Took 31.0 s. By role: base 5.0 s, agent 2.1 s.",
    "commune-a: docs-a waits for its grant (backup)",
    "Next, the key holder types the lines below; then run this again:",
    "  appliance territory grant requests/*.request --bundle bundle --key KEY --out grants/",
    "",
    "commune-b failed at: base : Install packages.",
    "After the repair, run for them alone:",
    "  ansible-playbook playbooks/site.yml --limit commune-b",
)


def test_a_summary_is_french_as_a_whole() -> None:
    said = [line for line, _ in callback().in_language([(it, None) for it in LINES], FRENCH)]
    assert said == [
        "Durée\u00a0: 31,0 s. Par rôle\u00a0: base 5.0 s, agent 2.1 s.",
        "commune-a\u00a0: docs-a attend son autorisation (backup)",
        "Ensuite, le détenteur de la clef du territoire tape les lignes ci-dessous\u00a0; "
        "puis relancez la même commande\u00a0:",
        LINES[3],
        "",
        "commune-b\u00a0: échec à l'étape «\u00a0base : Install packages\u00a0».",
        "Après la réparation, relancez pour eux seuls\u00a0:",
        LINES[7],
    ]


def test_one_sentence_without_french_leaves_the_whole_summary_in_english() -> None:
    lines = [(it, None) for it in (*LINES, "commune-a: a sentence that nobody translated")]
    assert callback().in_language(lines, FRENCH) == lines
    assert callback().in_language(lines, ENGLISH) is lines
