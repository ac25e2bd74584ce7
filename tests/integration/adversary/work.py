"""The work of people and programs of a town between attacks. Each must go on whatever was done to it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import suppress

from appliance.backup.peers.exchange import catch_up, exchange
from appliance.backup.proofs.drill import drill
from appliance.backup.proofs.rehearsal import untried
from appliance.backup.restore_requests import process_waiting
from appliance.backup.vault.maintenance.scrub import scrub
from appliance.backup.writer import writer
from appliance.errors import ApplianceError, Refused
from appliance.failover.warm_standby import install_ahead
from appliance.restore.request import RequestFolder, load_status
from appliance.restore.undo_request import UndoRequest
from appliance.trust.keys import read_public_keys
from appliance.trust.revocation import Revocation, Revoked
from tests.integration.adversary.as_pages import order
from tests.integration.adversary.scene import (
    HOLDER,
    ORIGIN,
    SERVICE,
    SPARE,
    STANDBY,
    Scene,
    files_of,
)
from tests.integration.life.world import Broken
from tests.worlds.vaults import TIME

type Work = Callable[[Scene], object]


def a_backup(scene: Scene) -> None:
    scene.a_day_goes_by()
    scene.backup()


def days_go_by(scene: Scene) -> None:
    scene.a_day_goes_by(scene.draw.randint(2, 15))


def a_tidying(scene: Scene) -> None:
    """Most of the service may be gone at its source by an attack; that is what it refuses for."""
    with suppress(Refused):
        writer.prune(scene.node(scene.writer), SERVICE)
        writer.push_newest(scene.node(scene.writer), SERVICE)


def an_exchange(scene: Scene) -> None:
    """Each holder asks the others and brings them what they lack."""
    for name in scene.honest_holders:
        with suppress(ApplianceError):
            catch_up(scene.node(name), SERVICE, exchange(scene.node(name), SERVICE))


def a_scrub(scene: Scene) -> None:
    for name in scene.honest_holders:
        if damage := scrub(scene.node(name), SERVICE).damage:
            raise Broken(f"{name} finds {damage} in what it holds")


def a_move(scene: Scene) -> None:
    """To the standby, or home; not to a node that the attacker has."""
    to = STANDBY if scene.writer == ORIGIN else ORIGIN
    if to not in scene.owned:
        scene.move(to)


def a_restore(scene: Scene) -> None:
    """Restore the newest archive into a folder."""
    last, to = scene.acknowledged[-1], scene.town.work / "restored"
    words = ("restore", "all", "--archive", last.archive, "--service", SERVICE, "--to", str(to))
    code, told, why = scene.town.type_at(scene.writer, *words)
    if code not in (0, 1) and scene.writer in scene.owned:  # its repository may be damaged, and the sentence says so
        scene.town.type_at(scene.writer, "backup", "repair", SERVICE)
        code, told, why = scene.town.type_at(scene.writer, *words)
    if code not in (0, 1):
        raise Broken(f"a restore of {last.archive} ends with {code}: {told} {why}")
    for source, content in zip(scene.desk.sources, last.content, strict=True):
        if files_of(to / str(source).lstrip("/")) != content:
            raise Broken(f"a restore of {last.archive} brings something else of {source}")
    shutil.rmtree(to)


def a_restore_in_place(scene: Scene) -> None:
    """The replaced files are kept, and come back when somebody undoes it."""
    if scene.writer != ORIGIN:
        return
    last, source = scene.acknowledged[-1], scene.desk.sources[0]
    if not (names := sorted(it for it in last.content[0] if it.isprintable())):
        return
    path = source / scene.draw.choice(names)
    path.write_bytes(b"written since")
    asked = order(scene, "in-place", path, archive=last.archive)
    node = scene.node(ORIGIN)
    list(process_waiting(node))
    status = load_status(RequestFolder(node.service(SERVICE).requests, asked.id))
    if status.state == "failed" and status.failure and ORIGIN in scene.owned and path.read_bytes() == b"written since":
        return  # its repository is damaged, as the page says, and nothing was replaced
    if path.read_bytes() != last.content[0][str(path.relative_to(source))]:
        raise Broken(f"a restore in place of {path} did not bring it back")
    if scene.draw.random() < 0.5:
        scene.undoable[asked.id] = node.ageing.now()
        return
    UndoRequest(node.service(SERVICE).requests, asked.id).ask()
    list(process_waiting(node))
    if path.read_bytes() != b"written since":
        raise Broken(f"undoing a restore of {path} did not bring back what it replaced")


def a_drill(scene: Scene) -> None:
    """At the standby, of what it holds."""
    if STANDBY in scene.owned or scene.writer == STANDBY:
        return
    with suppress(ApplianceError):  # the newest may be what the attacker sealed
        drill(scene.node(STANDBY), SERVICE, lambda *_: untried("none"), everything=True)


def laying_out_ahead(scene: Scene) -> None:
    if STANDBY in scene.owned or scene.writer == STANDBY:
        return
    with suppress(ApplianceError):
        install_ahead(scene.node(STANDBY), SERVICE)


def a_run_without_any_line(scene: Scene) -> None:
    """A town that is cut off saves all the same, and does not call that safe."""
    world = scene.town.world
    before, world.down = world.down, frozenset({ORIGIN, STANDBY, HOLDER, SPARE})
    try:
        done = writer.run(scene.node(scene.writer), SERVICE)
        if done.safety.safe or any(it.receipt for it in done.pushed):
            raise Broken("a run without any line is called safe")
    except Refused:  # it was refused to write before, and still is
        pass
    finally:
        world.down = before


def a_revocation(scene: Scene) -> None:
    """The attacker's blind holder is found out and revoked; the spare takes its place."""
    if HOLDER not in scene.owned or HOLDER in scene.revoked:
        return
    keys = read_public_keys(scene.desk.layout(HOLDER).keys)
    scene.desk.sign(
        gone=(HOLDER,),
        voters=(STANDBY, SPARE, ORIGIN),
        placed=(STANDBY, SPARE),
        spares=(),
        revoked=Revoked((Revocation(HOLDER, keys, TIME, "an attack"),)),
    )
    scene.revoked |= {HOLDER}


WORK: tuple[Work, ...] = (
    a_backup,
    days_go_by,
    a_tidying,
    an_exchange,
    a_scrub,
    a_move,
    a_restore,
    a_restore_in_place,
    a_drill,
    laying_out_ahead,
    a_run_without_any_line,
    a_revocation,
)
