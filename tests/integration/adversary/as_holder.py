"""Attacks by root at a blind peer: its vault answers with anything, and it hands on what it likes."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from appliance.backup.vault.call import Call
from appliance.backup.vault.replicas import replica_of
from appliance.backup.vault.store import HEADER, LIST, RECEIPT
from appliance.clock import utc_seconds
from appliance.trust.keys import load_key
from appliance.trust.receipt import make_receipt
from appliance.units import DAY
from tests.integration.adversary.attacks import attack
from tests.integration.adversary.scene import HOLDER, ORIGIN, SERVICE, SPARE, STANDBY, Lie, Role, Scene
from tests.integration.vault_worlds.fetch_lies import LIES as OF_A_FETCH
from tests.integration.vault_worlds.fetch_lies import OLDER
from tests.integration.vault_worlds.relay_lies import BAD_RECEIPTS
from tests.integration.vault_worlds.relay_lies import LIES as OF_AGES
from tests.worlds.vaults import TIME, ask, head

LIARS = "SECURITY.md"
RELAYS = "docs/reference/formats.md"

type Alter = Callable[[Mapping[str, Any]], Mapping[str, Any]]


class AlteredChannel:
    """The channel of a vault whose frames go through `alter`."""

    def __init__(self, channel: Any, alter: Alter) -> None:
        self._channel, self._alter = channel, alter

    def write_frame(self, frame: Mapping[str, Any]) -> None:
        self._channel.write_frame(self._alter(frame))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._channel, name)


def altering(alter: Alter) -> Lie:
    def lie(call: Call, honest: Callable[[Call], None]) -> None:
        honest(replace(call, channel=AlteredChannel(call.channel, alter)))  # type: ignore[arg-type]

    return lie


def putting(**fields: Any) -> Lie:
    return altering(lambda frame: {**frame, **fields})


@attack(Role.HOLDER, LIARS)
def shows_a_true_grant_of_another_service(scene: Scene) -> None:
    grant = scene.foreign_grant().document.raw.decode()
    scene.lie("head", altering(lambda frame: {**frame, "grants": [*frame["grants"], grant]}))


@attack(Role.HOLDER, LIARS)
def shows_a_grant_that_it_signed_itself(scene: Scene) -> None:
    own = scene.desk.voted([HOLDER], known_epoch=scene.epoch).document.raw.decode() if scene.desk.voters else ""
    scene.lie("head", altering(lambda frame: {**frame, "grants": [*frame["grants"], own]}))


HEADS: dict[str, Alter] = {
    "that it holds nothing": lambda it: {**it, "held": [], "newest": None, "receipt": None, "tips": []},
    "that it holds what nobody made": lambda it: {**it, "held": [*it["held"], "00009.0000000001.ffffffffffffffff"]},
    "that all is damaged": lambda it: {**it, "damaged": it["held"], "held": []},
    "that all was thinned": lambda it: {**it, "thinned": it["held"], "held": []},
    "forks without end": lambda it: {**it, "forks": [f"2.{number}" for number in range(5000)]},
    "an age of ten thousand years": lambda it: {**it, "age_seconds": 10**12},
    "an age below nothing": lambda it: {**it, "age_seconds": -(10**12)},
    "no head at all": lambda it: {"surprise": [[[]]]},
    "headers that are no texts": lambda it: {**it, "tips": [{"a": 1}, None, 7]},
    "an older newest": lambda it: {**it, "held": it["held"][:1]},
    "absences of everybody": lambda it: {**it, "absences": ["x" * 5000] * 200},
}
for _name, _alter in HEADS.items():
    attack(Role.HOLDER, LIARS, name=f"shows {_name}")(lambda scene, alter=_alter: scene.lie("head", altering(alter)))  # type: ignore[misc]


def _answering_a_fetch(fields: dict[str, Any]) -> Callable[[Scene], None]:
    def do(scene: Scene) -> None:
        if fields == {"generation": OLDER}:
            oldest = scene.held(HOLDER)[0] if scene.held(HOLDER) else None
            lie = altering(lambda frame: {**frame, "generation": oldest} if "generation" in frame else frame)
        else:
            lie = altering(lambda frame: {**frame, **fields} if "generation" in frame else frame)
        scene.lie("get", lie)
        scene.lie("get-own", lie)

    return do


for _name, (_fields, _) in OF_A_FETCH.items():
    attack(Role.HOLDER, LIARS, name=f"answers a fetch with {_name}")(_answering_a_fetch(_fields))


@attack(Role.HOLDER, LIARS)
def sends_other_bytes_for_a_blob(scene: Scene) -> None:
    _rot(scene, 1.0)


@attack(Role.HOLDER, LIARS)
def lets_some_blobs_rot(scene: Scene) -> None:
    _rot(scene, 0.3)


def _rot(scene: Scene, chance: float) -> None:
    for blob in sorted(replica_of(scene.node(HOLDER), SERVICE).blobs()):
        if scene.draw.random() < chance and blob.stat().st_size:
            blob.chmod(0o600)
            data = bytearray(blob.read_bytes())
            data[scene.draw.randrange(len(data))] ^= 0xFF
            blob.write_bytes(data)


@attack(Role.HOLDER, "docs/decisions/0011-the-head-shows-what-is-held.md")
def removes_everything_and_says_that_it_is_there(scene: Scene) -> None:
    replica = replica_of(scene.node(HOLDER), SERVICE)
    for blob in list(replica.blobs()):
        blob.unlink()


@attack(Role.HOLDER, LIARS)
def removes_its_vault(scene: Scene) -> None:
    shutil.rmtree(replica_of(scene.node(HOLDER), SERVICE).root, ignore_errors=True)


@attack(Role.HOLDER, LIARS)
def signs_for_what_it_threw_away(scene: Scene) -> None:
    """A receipt is its word: what it signed for counts for nobody who looks at the disks."""

    def put(call: Call, honest: Callable[[Call], None]) -> None:
        honest(call)
        for blob in list(call.replica.blobs()):
            blob.unlink()

    scene.lie("put", put)


@attack(Role.HOLDER, LIARS)
def ends_every_session_at_once(scene: Scene) -> None:
    def end(call: Call, honest: Callable[[Call], None]) -> None:
        raise OSError("the attacker hangs up")

    for verb in ("head", "put", "get", "get-own", "prove", "put-relayed"):
        scene.lie(verb, end)


@attack(Role.HOLDER, LIARS)
def says_that_its_share_is_full(scene: Scene) -> None:
    scene.lie("put", putting(refused={"what": "the quota is full", "code": 9}))


def hands_on(scene: Scene, name: str, to: str, caller: str, **details: Any) -> None:
    """Hand on what `caller` holds, in any words."""
    node, replica = scene.node(caller), replica_of(scene.node(caller), SERVICE)
    with scene.session(to, caller) as channel:
        said: dict[str, Any] = {
            "grants": [replica.grant(epoch).decode() for epoch in replica.epochs()],
            "headers": [replica.read(it.name, HEADER).decode() for it in replica.stored() if it.name <= name],
            "receipt": replica.read(name, RECEIPT).decode(),
            "age_seconds": node.ageing.now(),
            "list_bytes": len(replica.read(name, LIST)),
        }
        ask(channel, "put-relayed", **{**said, **details})
        channel.write(replica.read(name, LIST))
        while "receipt" not in (answer := channel.read_frame()):
            for digest, offset in answer["need"]:
                channel.write(replica.blob(digest).read_bytes()[offset:])


@attack(Role.HOLDER, RELAYS)
def hands_on_with_a_lie_about_the_age(scene: Scene) -> None:
    """To a holder whose vault is gone: it takes all again, from who tells it how old everything is."""
    lie, key = scene.draw.choice(tuple(OF_AGES.values())), load_key(scene.node(HOLDER).signing_key)
    scene.desk.sign(placed=(STANDBY, HOLDER, SPARE), spares=())
    for day, name in enumerate(scene.held(HOLDER)):
        with scene.refused():
            header = scene.chain.header(name)
            receipt = make_receipt(key, holder=HOLDER, header=header, time=TIME, age_seconds=0).decode()
            hands_on(scene, name, SPARE, HOLDER, receipt=receipt, age_seconds=max(0, int(lie(day))))
            if name in scene.held(SPARE):
                scene.relayed.setdefault(SPARE, {})[name] = utc_seconds(header.time)


for _name, _fields in BAD_RECEIPTS.items():

    def _hand_on(scene: Scene, fields: dict[str, Any] = _fields) -> None:
        if held := scene.held(HOLDER):
            hands_on(scene, held[-1], STANDBY, HOLDER, **fields)

    attack(Role.HOLDER, RELAYS, "receipt", f"hands on with {_name} in the place of a receipt")(_hand_on)


@attack(Role.HOLDER, "docs/reference/listener-bounds.md", "is only a spare")
def shows_the_same_act_a_thousand_times(scene: Scene) -> None:
    act = scene.desk.act("lost", ORIGIN, days=1, start=1_000_000_000.0).decode()
    if held := scene.held(HOLDER):
        hands_on(scene, held[-1], SPARE, HOLDER, acts=[act] * 1000)


@attack(Role.HOLDER, "docs/decisions/0013-targets-and-spares.md", "is only a spare")
def fills_a_spare_while_nobody_is_lost(scene: Scene) -> None:
    if held := scene.held(HOLDER):
        hands_on(scene, held[-1], SPARE, HOLDER)


@attack(Role.HOLDER, LIARS, "may not")
def pushes_as_if_it_were_the_writer(scene: Scene) -> None:
    made = scene.forge({"config": b"mine"}, signer=scene.node(HOLDER))
    with scene.session(STANDBY, HOLDER) as channel:
        ask(channel, "put", headers=[made.text], list_bytes=len(made.listing))
        channel.write(made.listing)
        channel.read_frame()


@attack(Role.HOLDER, LIARS, "no such generation")
def fetches_by_paths_that_leave_the_vault(scene: Scene) -> None:
    with scene.session(STANDBY, HOLDER) as channel:
        ask(channel, "get", generation="../../../keys", parts=True)
        channel.read_frame()


@attack(Role.HOLDER, "SECURITY.md")
def sets_its_clocks_ten_years_on(scene: Scene) -> None:
    """Its own: what it thins then is its own copy, which counts for nobody."""
    scene.desk.clocks[HOLDER].jump_wall(3650 * DAY)
    with scene.session(STANDBY, HOLDER) as channel:
        head(channel)
    scene.desk.clocks[HOLDER].jump_wall(-3650 * DAY)
