"""Commands about failover that cannot be, or are done already: one sentence and an exit code, before anybody waits."""

from __future__ import annotations

import json

from tests.integration.failover.conftest import HOME, SERVICE, STANDBY, Begin

REFUSED: tuple[tuple[str, str, int, str], ...] = (
    (STANDBY, "failover move nothing hermitage", 3, 'there is no service "nothing" in this territory; known: docs-a'),
    (STANDBY, "failover move docs-a nowhere", 3, 'there is no node "nowhere" in this territory; known: commune-a'),
    (
        STANDBY,
        "failover move docs-a commune-c",
        8,
        "commune-c is not a candidate for docs-a. Its candidates: commune-a, hermitage.",
    ),
    (STANDBY, "failover evacuate sea", 3, 'there is no zone "sea"; known: forest, heights, plateau, valley.'),
    (STANDBY, "failover pause nothing", 3, 'there is no service "nothing"'),
    (STANDBY, "failover history nothing", 3, 'there is no service "nothing"'),
    (STANDBY, "failover promote nothing", 3, 'there is no service "nothing"'),
    (STANDBY, "failover handback nothing", 3, 'there is no service "nothing"'),
    (STANDBY, "failover promote docs-a", 8, "commune-a still holds it. Sign it: appliance act sign promote hermitage"),
    (STANDBY, "failover promote docs-a --act none.act", 3, "none.act: there is no such file."),
    ("commune-c", "failover promote docs-a", 8, "commune-c is not a candidate for docs-a. Its candidates:"),
    ("commune-c", "failover promote docs-a --act none.act", 3, "none.act: there is no such file."),
    (STANDBY, "failover pause docs-a --end", 8, "docs-a is not paused. See: "),
    (HOME, "failover merge nothing", 3, 'there is no service "nothing"'),
    (HOME, "failover merge docs-a", 3, "there is no unmerged branch of docs-a at commune-a; kept here: "),
    (HOME, "failover merge docs-a --branch 2", 3, "there is no branch 2 of docs-a at commune-a; kept here: none."),
    (HOME, "failover merge docs-a --branch 0", 2, "0 is not in the range x>=1."),
    (HOME, "failover merge docs-a --leave --dry-run", 2, "--leave and --dry-run cannot be combined."),
    (STANDBY, "failover quarantine commune-a", 8, 'no signed act "quarantine" of commune-a was given. Sign it:'),
    (STANDBY, "failover quarantine nowhere", 3, 'there is no node "nowhere"'),
    (HOME, "internal failover broker", 8, "commune-a is not a voter of this territory. Voters by bundle:"),
    (HOME, "internal failover run", 4, "failover of this node is in use by another process."),
    ("commune-b", "failover pause docs-a", 6, "may not announce anything for docs-a"),
    ("commune-b", "failover move docs-a hermitage", 6, "may not announce anything for docs-a"),
    ("commune-b", "failover move docs-a hermitage --dry-run", 6, "may not announce anything for docs-a"),
)


def test_what_cannot_be_is_refused_in_one_sentence_and_what_is_asked_is_shown(begin: Begin) -> None:
    world = begin("local-first")
    for name, words, code, sentence in REFUSED:
        told = world.node(name).cli(*words.split(), check=False)
        assert (told.exit_code, told.stdout) == (code, b""), words
        assert sentence in told.stderr.decode(), words
        assert told.stderr.count(b"\n") == 1, words
    for words in ("move docs-a commune-a", "handback docs-a"):
        told = world.node(STANDBY).cli("failover", *words.split())
        assert told.stdout == b"commune-a already holds the lease of docs-a: nothing moves.\n", words
        assert told.stderr.endswith(b"failover status\n"), words
    shown = json.loads(world.node(HOME).cli("failover", "status", "--json").stdout)
    (docs,) = (it for it in shown["services"] if it["service"] == SERVICE)
    assert (docs["holder"], docs["writer"], docs["epoch"], docs["state"]) == (HOME, HOME, 2, "ACTIVE")
    moved = json.loads(world.node(HOME).cli("failover", "history", SERVICE, "--json").stdout)
    assert [it["node"] for it in moved["history"]] == [HOME]
    world.node(STANDBY).cli("failover", "pause", SERVICE, "--minutes", "1")
    second = world.node(HOME).cli("failover", "move", SERVICE, STANDBY, check=False)
    assert second.exit_code == 8
    assert b"an operator at hermitage already intends to pause docs-a" in second.stderr
    told = world.node(HOME).cli("failover", "status")
    assert b"docs-a: pause, announced by an operator at hermitage: maintenance\n" in told.stdout
    theirs = world.node(HOME).cli("failover", "pause", SERVICE, "--end", check=False)
    assert theirs.exit_code == 8
    assert b"docs-a is paused by an operator at hermitage. End it there" in theirs.stderr
    for dry_run, paused in ((("--dry-run",), True), ((), False)):
        world.node(STANDBY).cli("failover", "pause", SERVICE, "--end", *dry_run)
        assert (b"docs-a: pause" in world.node(HOME).cli("failover", "status").stdout) is paused
    for voter in world.etcd.voters:
        voter.kill()
    told = world.node(STANDBY).cli("failover", "status", check=False)
    assert told.exit_code == 1
    assert b"No majority of the voters answers:" in told.stdout
    for words in ("move docs-a hermitage", "evacuate valley", "history docs-a"):
        told = world.node(STANDBY).cli("failover", *words.split(), check=False)
        assert (told.exit_code, told.stdout) == (7, b""), words
        assert b"no voter's broker can answer: " in told.stderr, words
