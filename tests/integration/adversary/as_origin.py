"""Attacks by root at the origin: it has all keys of the node, the service's own, and the repository."""

from __future__ import annotations

import shutil
from collections.abc import Callable

from appliance.backup.chain.chain import chain_of
from appliance.backup.chain.resync import continue_under, fetch_for_resync
from appliance.backup.chain.seal import will_compact
from appliance.backup.peers.fetched import load_fetched, remember_fetched
from appliance.backup.peers.fetched_key import staging
from appliance.backup.peers.openable import key_of
from appliance.backup.proofs.drill import drill
from appliance.backup.proofs.rehearsal import untried
from appliance.backup.writer import writer
from appliance.borg.client import Borg
from appliance.borg.names import archive_name
from appliance.clock import utc_text
from appliance.failover.warm_standby import install_ahead
from appliance.host.files import locked
from appliance.trust.generation import NO_PARENT
from tests.integration.adversary.attacks import attack
from tests.integration.adversary.scene import HOLDER, ORIGIN, SERVICE, STANDBY, Role, Scene
from tests.integration.borg import hostile
from tests.integration.borg.hostile import HOSTILE
from tests.integration.vault.attacks import ATTACKS as SIEGE
from tests.integration.vault.attacks import Attack as SiegeAttack
from tests.worlds.vaults import ask, push

LIMITS = "docs/reference/listener-bounds.md"
SEALED = "docs/decisions/0004-sealed-generations.md"
COUNTERS = "docs/decisions/0066-lanes-of-counters.md"
VAULTS = (STANDBY, HOLDER)


def besieging(of: SiegeAttack) -> Callable[[Scene], None]:
    def do(scene: Scene) -> None:
        with scene.session(scene.draw.choice(VAULTS), ORIGIN) as channel:
            of.do(scene, _Session(channel))  # type: ignore[arg-type]

    return do


class _Session:
    def __init__(self, channel: object) -> None:
        self.channel = channel


for _name, _of in SIEGE.items():
    says = "" if _name == "overfill the day" else _of.sentence  # this town's quota is less than its day
    attack(Role.ORIGIN, LIMITS, says, f"speaks to a vault: {_name}")(besieging(_of))


@attack(Role.ORIGIN, SEALED)
def seals_a_ransom_after_the_newest(scene: Scene) -> None:
    made = scene.forge({"config": b"ransom", "data/0/0": scene.draw.randbytes(3000)})
    for vault in VAULTS:
        with scene.session(vault, ORIGIN) as channel:
            push(channel, made)


@attack(Role.ORIGIN, SEALED)
def forks_the_newest_and_begins_a_second_time(scene: Scene) -> None:
    newest = scene.newest.header
    made = scene.forge({"config": b"other"}, sequence=newest.sequence, previous=newest.previous)
    again = scene.forge({"config": b"again"}, sequence=1, previous=NO_PARENT)
    for vault in VAULTS:
        for it in (made, again):
            with scene.session(vault, ORIGIN) as channel:
                push(channel, it)


@attack(Role.ORIGIN, "docs/decisions/0065-headers-that-lead-nowhere-go.md")
def sends_headers_that_lead_nowhere(scene: Scene) -> None:
    """Headers of the largest size, ahead of generations that never come."""
    grants = [scene.stolen_grant().document.raw.decode()]
    last = scene.newest.header.id
    for number in range(20):
        made = scene.forge({"config": b"%d" % number}, sequence=last.sequence + 1, previous=last.digest)
        last = made.header.id
        with scene.session(HOLDER, ORIGIN) as channel:
            ask(channel, "put", grants=grants, headers=[made.text], list_bytes=0)
            channel.read_frame()


@attack(Role.ORIGIN, "docs/reference/formats.md", "time")
def pads_headers_until_nobody_can_be_sent_them(scene: Scene) -> None:
    with scene.refused():
        made = scene.forge({"config": b"x"}, time='"' * 1500)
        with scene.session(HOLDER, ORIGIN) as channel:
            ask(channel, "put", headers=[made.text], list_bytes=0)
            channel.read_frame()


def _seal_and_push(scene: Scene) -> None:
    node, layout = scene.stolen, scene.stolen.service(SERVICE)
    with scene.refused():
        with locked(layout.lock, what="the service"):
            chain = chain_of(node, SERVICE)
            writer.seal_now(node, SERVICE, chain, chain.grants()[max(chain.grants())])
        for it in writer.push_newest(node, SERVICE):
            if it.error:
                scene.said.append(str(it.error))


@attack(Role.ORIGIN, SEALED)
def deletes_every_archive_and_seals_that(scene: Scene) -> None:
    """With the key and borg itself: what an append-only borg server would make final."""
    layout = scene.stolen.service(SERVICE)
    with scene.refused():
        borg = Borg(writer.own_repository(layout))
        if names := [it.name for it in borg.everything()]:
            borg.delete(names)
        will_compact(layout)
        borg.compact(0)
        _seal_and_push(scene)


@attack(Role.ORIGIN, SEALED)
def flips_bits_of_its_repository_and_seals_that(scene: Scene) -> None:
    layout = scene.stolen.service(SERVICE)
    for segment in layout.repository.glob("data/*/*"):
        data = bytearray(segment.read_bytes())
        data[len(data) // 2] ^= 1
        segment.unlink()
        segment.write_bytes(data)
    _seal_and_push(scene)


@attack(Role.ORIGIN, "docs/decisions/0047-laid-out-ahead.md")
def makes_an_archive_that_leaves_its_folder(scene: Scene) -> None:
    """A warm standby, a drill and a restore of it must write and link nowhere else."""
    made, number = scene.draw.choice(tuple(HOSTILE.values())), scene.newest.header
    name = archive_name(SERVICE, f"{number.epoch}.{number.sequence + 1}", utc_text(scene.stolen.clock.now()), 7)
    with scene.refused():
        hostile.forge(writer.own_repository(scene.stolen.service(SERVICE)), name, made(scene.outside))
    _seal_and_push(scene)
    into = scene.town.work / "hostile"
    for use in (
        lambda: install_ahead(scene.node(STANDBY), SERVICE),
        lambda: drill(scene.node(STANDBY), SERVICE, lambda *_: untried("none"), everything=True),
        lambda: scene.town.type_at(
            ORIGIN, "restore", "all", "--archive", name, "--service", SERVICE, "--to", str(into)
        ),
    ):
        with scene.refused():
            use()
    shutil.rmtree(into, ignore_errors=True)


@attack(Role.ORIGIN, "docs/decisions/0005-nonce-ranges.md")
def goes_on_under_an_epoch_that_ended(scene: Scene) -> None:
    """As the former writer, once somebody else has the service; before that it is only one more generation."""
    made = scene.forge({"config": b"late", "data/0/1": scene.draw.randbytes(500)})
    with scene.session(HOLDER, ORIGIN) as channel:
        push(channel, made, [scene.stolen_grant()])


@attack(Role.ORIGIN, COUNTERS)
def puts_its_whole_machine_back_while_a_holder_is_silent(scene: Scene) -> None:
    """The memory that lies beside the state folder comes back too, and each branch reaches another holder."""
    if scene.writer != ORIGIN:
        return
    layout = scene.desk.layout(ORIGIN)
    image, remembered = layout.root.with_name("image"), layout.lineage.read_bytes()
    shutil.copytree(layout.root, image, symlinks=True)
    before = scene.town.world.down
    for silent in (STANDBY, HOLDER):
        scene.town.world.down = before | {silent}
        scene.write(scene.desk.sources[0])
        with scene.refused():
            writer.run(scene.stolen, SERVICE)
        if silent == STANDBY:
            scene.town.note_counters()
            shutil.rmtree(layout.root)
            image.rename(layout.root)
            layout.lineage.write_bytes(remembered)
    scene.town.world.down = before


@attack(
    Role.ORIGIN, "docs/decisions/0037-three-programs-beside-the-agent.md", ", and its counters must be used only once"
)
def adopts_a_grant_a_second_time(scene: Scene) -> None:
    """Its state folder comes back from an image of before the grant was written under, and who answers knows nothing
    of what was."""
    if scene.writer != ORIGIN:
        return
    layout, world = scene.desk.layout(ORIGIN), scene.town.world
    image, before = layout.root.with_name("image"), world.down
    shutil.copytree(layout.root, image, symlinks=True)
    with scene.refused():
        scene.obey()
        grant = scene.present_grant().document.raw
        world.down = before | {STANDBY}
        writer.run(scene.stolen, SERVICE)
    scene.town.note_counters()
    shutil.rmtree(layout.root)
    image.rename(layout.root)
    world.down = before | {HOLDER}
    with scene.refused():
        sealed, _ = fetch_for_resync(scene.stolen, SERVICE)
        remember_fetched(scene.stolen, SERVICE, sealed)
        key = key_of(scene.stolen, SERVICE, staging(scene.stolen, SERVICE), None)
        continue_under(scene.stolen, SERVICE, load_fetched(scene.stolen, SERVICE), grant, key)
        scene.write(scene.desk.sources[0])
        writer.run(scene.stolen, SERVICE)
    world.down = before
