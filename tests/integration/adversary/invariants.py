"""The rules for every disk after a run, whatever was attacked: the invariants of the design, as plain checks.

Each raises Broken with what it found. Disks that the attacker has are no evidence: they are read for I1 only, as what a
blind holder's root can read, and for the counters, as what all blind holders have together.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from appliance.backup.chain.chain import chain_of
from appliance.backup.peers.fetch import fetch
from appliance.backup.vault.evidence import read_evidence
from appliance.backup.vault.replicas import replica_of
from appliance.backup.vault.store import LIST
from appliance.errors import ApplianceError
from appliance.escrow.envelopes import read_key
from appliance.host.files import sha256_file
from appliance.restore.request import RequestFolder, load_status
from appliance.restore.undo import KEPT_SECONDS
from appliance.trust.grant import Grant
from appliance.units import DAY
from appliance_lab.counters import reused
from tests.integration.adversary.scene import (
    BLIND,
    CANARY,
    HOLDER,
    MARK,
    NAMES,
    ORIGIN,
    SERVICE,
    SPARE,
    STANDBY,
    Acknowledged,
    Scene,
    files_of,
)
from tests.integration.life.real_town import LOCK_SECONDS
from tests.integration.life.world import Broken

DAYS_KEPT = 60 * DAY
"""So long the first and the last of each day stay, which here are nearly all."""

type Check = Callable[[Scene], None]


def all_files(root: Path) -> Iterator[Path]:
    for above, _, names in os.walk(root):
        for name in names:
            path = Path(above, name)
            if path.is_file() and not path.is_symlink():
                yield path


def blind_peers_have_no_text_name_or_key(scene: Scene) -> None:
    """I1. Every file of every node that has no key, the attacker's too."""
    key = read_key(scene.node(ORIGIN).service(SERVICE).key)
    secrets = {
        "a text of a document": MARK,
        "a name of a document": "délibération".encode(),
        "a name of a folder": os.fsencode(scene.desk.sources[0].name) + b"/d",
        "the passphrase": key.passphrase.reveal(),
        "the key": key.keyfile.reveal().splitlines()[1],
    }
    for name in BLIND:
        for path in all_files(scene.desk.layout(name).root):
            data = path.read_bytes()
            for what, secret in secrets.items():
                if secret in data or (what.startswith("a name") and secret in os.fsencode(path)):
                    raise Broken(f"I1: {path} at {name} has {what}")


def what_is_called_safe_is_at_honest_holders(scene: Scene) -> None:
    """I2. A receipt of the attacker's own holder may count, for nobody can know; those of honest ones are true."""
    last = scene.acknowledged[-1]
    for name in set(last.holders) - scene.owned:
        if last.name not in scene.held(name):
            raise Broken(f"I2: {last.name} counts as held by {name}, and is not there")


def nothing_acknowledged_is_lost(scene: Scene) -> None:
    """I3. At each honest holder, what it signed for is there: all of the lock, and then by the rule of days."""
    for item in scene.acknowledged:
        for name, since in item.holders.items():
            if name in scene.owned:
                continue
            age = scene.node(name).ageing.now() - since
            if age < LOCK_SECONDS and item.name not in scene.held(name):
                raise Broken(f"I3: {name} let {item.name} go {age / DAY:.1f} days after it signed for it")
    for name, held in scene.frozen.items():
        if lost := set(held) - set(scene.held(name)):
            raise Broken(f"I3: {name} let {lost} go while a legal hold lasts")


def history_older_than_the_lock_is_thinned_by_rule(scene: Scene) -> None:
    """I3. Of each day that somebody still has to hold, the first and the last generation stay for sixty days."""
    for name in (STANDBY, HOLDER, SPARE):
        if name in scene.owned:
            continue
        now, held, days = scene.node(name).ageing.now(), set(scene.held(name)), dict[int, list[str]]()
        for item in scene.acknowledged:
            if name in item.holders:
                days.setdefault(item.holders[name] // DAY, []).append(item.name)
        for day, names in days.items():
            if now - day * DAY < DAYS_KEPT and not held & set(names):
                raise Broken(f"I3: {name} has nothing more of a day {(now / DAY - day):.0f} days ago: {names}")
        wall, days = scene.desk.clocks[name].now(), {}
        for generation, made in scene.relayed.get(name, {}).items():
            days.setdefault(int(made // DAY), []).append(generation)
        for day, names in days.items():
            if 0 <= wall - day * DAY < DAYS_KEPT and not held & set(names):
                raise Broken(f"I3: {name} let all go that it was handed on of a day: {names}")


def held_generations_are_whole(scene: Scene) -> None:
    """I3. Each list, header and signature holds, and each blob has its hash, at honest holders."""
    for name in (STANDBY, HOLDER, SPARE):
        if name in scene.owned:
            continue
        node = scene.node(name)
        replica, digests = replica_of(node, SERVICE), set[str]()
        for generation in scene.held(name):
            evidence = read_evidence(node, replica, generation)
            if evidence.wrong or evidence.entries is None:
                raise Broken(f"I3: {generation} at {name}: {evidence.wrong}")
            digests |= {entry.sha256 for entry in evidence.entries}
        for digest in digests:
            if sha256_file(replica.blob(digest)) != digest:
                raise Broken(f"I3: a blob of {name} does not have its hash")


def only_granted_epochs_and_one_writer_each(scene: Scene) -> None:
    """I4. At honest nodes no epoch is known that the key holder did not grant, nor two grants of one."""
    known: dict[int, Grant] = {}
    for name in NAMES:
        if name in scene.owned:
            continue
        node = scene.node(name)
        replica = replica_of(node, SERVICE)
        grants = [node.bundle.granters.read(replica.grant(epoch)) for epoch in replica.epochs()]
        for grant in (*grants, *chain_of(node, SERVICE).grants().values()):
            if grant.epoch not in scene.granted or grant.service != SERVICE:
                raise Broken(f"I4: {name} knows epoch {grant.epoch} of {grant.service}, which nobody granted")
            if known.setdefault(grant.epoch, grant).statement != grant.statement:
                raise Broken(f"I4: epoch {grant.epoch} was granted twice")


def what_a_restore_replaced_is_kept(scene: Scene) -> None:
    """I6. For thirty days."""
    node = scene.node(ORIGIN)
    layout = node.service(SERVICE)
    for name, since in scene.undoable.items():
        job = load_status(RequestFolder(layout.requests, name)).job
        if node.ageing.now() - since < KEPT_SECONDS and not (job and (layout.restores / job / "job.json").is_file()):
            raise Broken(f"I6: what the restore {name} replaced is gone")


def no_counter_was_used_twice(scene: Scene) -> None:
    """On the union of all pools and repositories, whatever was rolled back since."""
    scene.town.note_counters()
    if twice := reused(scene.town.used):
        raise Broken(f"{len(twice)} pairs of objects share keystream")


def nothing_elsewhere_changed(scene: Scene) -> None:
    """The files of nobody here, and of each honest node its keys and its files of other services."""
    if [(it.name, it.read_bytes()) for it in all_files(scene.outside)] != [("sign", CANARY)]:
        raise Broken(f"{scene.outside} changed: {sorted(scene.outside.iterdir())}")
    inodes = {path.stat().st_ino for name in NAMES for path in all_files(scene.desk.layout(name).keys)}
    inodes |= {path.stat().st_ino for path in all_files(scene.outside)}
    for name in NAMES:
        layout = scene.desk.layout(name)
        if (layout.service("docs-d").repository / "nonce").read_bytes() != CANARY:
            raise Broken(f"the counter of another service changed at {name}")
        if any(all_files(layout.root / ".local")):
            raise Broken(f"code was laid into the home of {name}")
        keys = layout.keys
        for path in all_files(layout.root):
            if path.stat().st_ino in inodes and keys not in path.parents:
                raise Broken(f"{path} is a key of a node")
        made = scene.root_made / "desk" / name / "keys"
        for path in all_files(made):
            if (keys / path.relative_to(made)).read_bytes() != path.read_bytes():
                raise Broken(f"the key {path.name} of {name} changed")


def journals_tell_no_secret(scene: Scene) -> None:
    """I1, and the rule that a log has none."""
    key = read_key(scene.node(ORIGIN).service(SERVICE).key)
    secrets = [key.passphrase.reveal(), key.keyfile.reveal().splitlines()[1], MARK]
    for name in NAMES:
        layout = scene.desk.layout(name)
        private = [line for path in all_files(layout.keys) if path.suffix != ".pub" for line in lines_of(path)]
        for path in (*layout.root.glob("*.jsonl*"), *layout.root.glob("portal*/*.jsonl*")):
            data = path.read_bytes()
            if any(secret in data for secret in (*secrets, *private)):
                raise Broken(f"{path} has a secret")


def lines_of(path: Path) -> list[bytes]:
    return [line for line in path.read_bytes().splitlines() if len(line) > 30 and b" " not in line]


def key_holders_fetch_what_was_acknowledged(scene: Scene) -> None:
    """I3, I8. Each generation that an honest holder signed for and still holds comes over the line, whole, though
    most of it is at hand."""
    reader = STANDBY if STANDBY not in scene.owned and scene.writer != STANDBY else ORIGIN
    for item in scene.acknowledged:
        for holder in set(item.holders) - scene.owned - {reader, scene.writer}:
            if item.name in scene.held(holder):
                _fetch(scene, reader, holder, item.name)


def _fetch(scene: Scene, reader: str, holder: str, name: str) -> None:
    into = scene.town.work / "fetched"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("appliance.backup.peers.local_reuse.reuse_local", lambda *_: frozenset())
        try:
            fetch(scene.node(reader), SERVICE, holder, name, into)
        except ApplianceError as error:
            raise Broken(f"{reader} cannot fetch {name} from {holder}: {error}") from error
        finally:
            shutil.rmtree(into, ignore_errors=True)


def stock_tools_bring_the_newest_back(scene: Scene) -> None:
    """I8. From an honest holder's disk, by sha256sum and borg and the key, and by nothing of ours."""
    item, holder = newest_at_an_honest_holder(scene)
    replica, home = replica_of(scene.node(holder), SERVICE), scene.town.work / "by-hand"
    shutil.rmtree(home, ignore_errors=True)
    repository, listing = home / "repository", replica.path(item.name, LIST)
    for line in listing.read_text().splitlines():
        if line.startswith("#"):
            continue  # its size, which sha256sum leaves out, too
        digest, path = line[:64], line[66:]
        (repository / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(replica.blob(digest), repository / path)
    subprocess.run(("sha256sum", "-c", "--quiet", str(listing)), cwd=repository, check=True)
    key = read_key(scene.node(ORIGIN).service(SERVICE).key)
    (home / "keyfile").write_bytes(key.keyfile.reveal())
    (home / "files").mkdir()
    environment = {
        "PATH": "/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "BORG_BASE_DIR": str(home / "borg"),
        "BORG_KEY_FILE": str(home / "keyfile"),
        "BORG_PASSPHRASE": key.passphrase.reveal().decode(),
        "BORG_RELOCATED_REPO_ACCESS_IS_OK": "yes",
    }
    argv = ("borg", "extract", f"{repository}::{item.archive}")
    done = subprocess.run(argv, cwd=home / "files", env=environment, capture_output=True)
    if done.returncode not in (0, 1):
        raise Broken(f"I8: borg does not open {item.name} of {holder}: {done.stderr.decode()[-300:]}")
    for source, content in zip(scene.desk.sources, item.content, strict=True):
        if files_of(home / "files" / str(source).lstrip("/")) != content:
            raise Broken(f"I8: {item.name} of {holder} brings something else of {source}")
    shutil.rmtree(home)


def newest_at_an_honest_holder(scene: Scene) -> tuple[Acknowledged, str]:
    for item in reversed(scene.acknowledged):
        for holder in item.holders:
            if holder not in scene.owned and item.name in scene.held(holder):
                return item, holder
    raise Broken("I2: no honest holder has anything that was acknowledged")


def a_later_backup_reaches_honest_holders(scene: Scene) -> None:
    """I2, I5, I7. Whatever was done: a run is possible, each honest holder takes it, and what is missing is told."""
    for _ in range(2):
        scene.a_day_goes_by()
        scene.backup()
    last = scene.acknowledged[-1]
    if missing := set(scene.honest_holders) - set(last.holders):
        errors = [it for it in scene.told if any(name in it for name in missing)]
        raise Broken(f"I2: after two runs {missing} did not take {last.name}: {errors}")


def one_liar_stops_nobody(scene: Scene) -> None:
    """I5. Where the writers themselves are honest, no run needs a person or another grant."""
    if scene.obeyed and not {ORIGIN, STANDBY} & scene.owned:
        raise Broken(f"I5: the writer was stopped {scene.obeyed} times")


CHECKS: tuple[Check, ...] = (
    a_later_backup_reaches_honest_holders,
    one_liar_stops_nobody,
    nothing_acknowledged_is_lost,
    history_older_than_the_lock_is_thinned_by_rule,
    held_generations_are_whole,
    what_is_called_safe_is_at_honest_holders,
    only_granted_epochs_and_one_writer_each,
    no_counter_was_used_twice,
    what_a_restore_replaced_is_kept,
    nothing_elsewhere_changed,
    blind_peers_have_no_text_name_or_key,
    journals_tell_no_secret,
    key_holders_fetch_what_was_acknowledged,
    stock_tools_bring_the_newest_back,
)
