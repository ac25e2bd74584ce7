"""A node's own service: backed up like any other, without a single key of anybody's, and about nobody else."""

from __future__ import annotations

import base64
from dataclasses import replace
from pathlib import Path

import pytest

from appliance.accounts.service import AccountService
from appliance.accounts.store import write_store
from appliance.agent.act import perform
from appliance.agent.decide import decide
from appliance.agent.decisions import Exchange, People
from appliance.agent.intervals import Intervals
from appliance.agent.memory import Memory
from appliance.agent.observe import Observer, now_of
from appliance.backup.peers.exchange import exchange
from appliance.backup.peers.openable import open_best
from appliance.backup.writer import writer
from appliance.backup.writer.begin import begin, take_first_grant
from appliance.backup.writer.source_of import source_spec
from appliance.borg.client import Borg
from appliance.clock import SimulatedClock
from appliance.errors import Refused
from appliance.failover.forms import share_work
from appliance.monitor.view import Attempt, key
from appliance.node.handle import Node, open_node
from appliance.restore.jobs import plan, run
from appliance.territory.implicit import with_implicit
from appliance.units import DAY, HOUR
from appliance_lab.processes.territory import ProcessTerritory
from tests.worlds.accounts import account, store

OWN = "appliance-commune-a"


def secret_lines(state: Path) -> dict[str, bytes]:
    """The secrets that must never leave: the longest line of each private key, key file and passphrase, and each key's
    bytes."""
    files = [path for path in state.glob("keys/*") if path.suffix != ".pub"]
    files += [*state.glob("services/*/key/*"), *state.glob("services/*/borg/.config/borg/keys/*")]
    lines = {str(path): max(path.read_bytes().split(b"\n"), key=len) for path in files}
    decoded = {
        f"{path}, decoded": base64.b64decode(line + b"===")[:40] for path, line in lines.items() if len(line) == 70
    }
    return lines | decoded


@pytest.fixture
def own(territory: ProcessTerritory) -> ProcessTerritory:
    """docs-a is backed up, then commune-a begins to back itself up."""
    writer.run(territory.open("commune-a"), "docs-a")
    territory.territory = with_implicit(replace(territory.territory, own_backup=True))
    territory.sign()
    node = territory.open("commune-a")
    take_first_grant(node, OWN, territory.grant(begin(node, OWN), "commune-a"))
    return territory


def test_it_is_safe_at_its_peers_and_comes_back_without_any_key(own: ProcessTerritory, tmp_path: Path) -> None:
    node = own.open("commune-a")
    write_store(node.layout.accounts, store("commune-a", account("marie")))
    (node.layout.accounts.parent / "smbpasswd").write_text("made again from the store")
    node.layout.voter_maintenance.mkdir()
    for time in ("2026-11-25T08:00:00Z", "2026-11-25T09:00:00Z"):
        (node.layout.voter_maintenance / f"{time}.snapshot").write_text(f"the voters' store at {time}")
    done = writer.run(node, OWN)
    assert done.safety.safe
    assert (done.left_out, done.failures) == ((), ())
    assert set(done.safety.acknowledged) == set(node.bundle.terms(OWN).replica_nodes)
    assert node.bundle.terms(OWN).standbys == ("hermitage",)

    standby = own.open("hermitage")
    borg = Borg(open_best(standby, OWN, "standby").repository)
    job = plan(tmp_path / "restores", borg, borg.archives()[-1].name, (), now=0.0, into=tmp_path / "back")
    run(tmp_path / "restores", job.id, borg, age_seconds=0)
    root = Path(f"{tmp_path / 'back'}{node.layout.root.resolve()}")
    assert (root / "bundle").read_bytes() == node.layout.bundle.read_bytes()
    assert (root / "node.json").read_bytes() == node.layout.identity.read_bytes()
    assert b'"sealed"' in (root / "journal.jsonl").read_bytes()
    assert (root / "accounts/accounts.json").read_bytes() == node.layout.accounts.read_bytes()
    assert {path.name for path in root.glob("accounts/*")} == {"accounts.json"}
    assert list(root.glob("services/docs-a/chain/grants/00002"))
    assert list(root.glob("services/docs-a/chain/*/receipt-hermitage"))
    assert {path.name for path in root.iterdir()} <= {
        "bundle",
        "node.json",
        "journal.jsonl",
        "accounts",
        "acts",
        "services",
        "voter-care",
    }
    assert {path.name for path in root.glob("voter-care/*")} == {"2026-11-25T09:00:00Z.snapshot"}, "the newest alone"
    assert {path.name for path in root.glob("services/*/*")} == {"chain"}

    restored = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    secret = secret_lines(node.layout.root)
    assert len(secret) >= 4 + 2 * 3, "three keys and age; of two services a passphrase, and the key file twice"
    assert [(name, path) for name, line in secret.items() for path, raw in restored.items() if line in raw] == []

    # What happened since is in the next one, and nobody else can write what a node says of itself.
    second = writer.run(node, OWN)
    items = Borg(open_best(node, OWN).repository).items(second.created.archive)
    assert any(f"services/{OWN}/chain/00002.0000000001" in item.path for item in items)
    with pytest.raises(Refused, match="only commune-a can write it"):
        source_spec(standby, OWN)


def test_accounts_lie_ready_for_whoever_takes_a_share_over_and_are_read_once_of_each_generation(
    own: ProcessTerritory,
) -> None:
    home, standby = own.open("commune-a"), own.open("hermitage")
    lies = standby.service("docs-a").root / share_work.PEOPLE
    write_store(home.layout.accounts, store("commune-a", account("marie")))
    writer.run(home, OWN)
    share_work.install_people(standby, "docs-a")
    first = lies.stat().st_ino
    assert lies.read_bytes() == home.layout.accounts.read_bytes()
    share_work.install_people(standby, "docs-a")
    assert lies.stat().st_ino == first
    write_store(home.layout.accounts, store("commune-a", account("marie"), account("paul")))
    writer.run(home, OWN)
    share_work.install_people(standby, "docs-a")
    assert lies.read_bytes() == home.layout.accounts.read_bytes()
    assert lies.stat().st_mode & 0o077 == 0


def to_let_in(node: Node) -> list[People]:
    """Return what its agent would begin for the people of other nodes, if it had just asked them, and never done so."""
    now = now_of(node)
    asked = Memory({key(Exchange.kind, OWN): Attempt(now.wall, now.age, ok_time=now.wall, ok_age=now.age)})
    return [it for it in decide(Observer().look(node, now, asked), now, Intervals()) if isinstance(it, People)]


def test_a_standby_lets_the_people_of_a_silent_home_in_by_itself(own: ProcessTerritory) -> None:
    home = own.open("commune-a")
    clock = SimulatedClock(now=home.clock.now() - DAY)
    standby, blind = open_node(own.nodes["hermitage"].state, clock), own.open("commune-b")
    people = AccountService(standby.layout.accounts, "hermitage", syncs=False)
    writer.run(home, OWN)
    exchange(standby, OWN)
    clock.advance(HOUR)
    assert to_let_in(standby) == [], "it gave a sign of life an hour ago"
    own.nodes["commune-a"].stop()
    clock.advance(3 * HOUR)
    exchange(standby, OWN)
    [work] = to_let_in(standby)
    assert (work.home, work.reason) == ("commune-a", "commune-a is silent")
    assert perform(standby, work).error == "", "nobody has an account there yet"
    assert people.others == {}

    write_store(home.layout.accounts, store("commune-a", account("marie")))
    writer.run(home, OWN)
    [work] = to_let_in(standby)
    write_store(standby.layout.people / "commune-b.json", store("commune-b", account("paul")))  # a worker was killed
    assert perform(standby, work).error == ""
    assert set(people.others["commune-a"].accounts) == {"marie"}
    assert list(standby.layout.people.iterdir()) == [], "it lies nowhere else"

    own.nodes["commune-a"].start_sshd()
    write_store(home.layout.accounts, store("commune-a", account("marie", disabled=True)))
    writer.run(home, OWN)
    exchange(standby, OWN)
    [work] = to_let_in(standby)
    assert "its people log in here" in work.reason
    assert perform(standby, work).error == ""
    assert people.others["commune-a"].accounts["marie"].disabled, "who was disabled at home is soon here too"
    assert to_let_in(blind) == []
    assert "does not trust" in perform(blind, work).error
