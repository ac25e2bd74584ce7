"""Attacks from a PC in the building: it writes into the shares, and answers for the time servers."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from appliance.backup.vault.maintenance.pruning import prune_replica
from appliance.node.acts import accept_act
from appliance.units import DAY
from tests.integration.adversary.attacks import attack
from tests.integration.adversary.scene import HOLDER, SERVICE, STANDBY, Role, Scene, files_of

RANSOM = "docs/decisions/0054-own-choice-of-archives.md"
ODD_NAMES = ("sh:*", "-rf", "a\nb.odt", "é" * 100, "re:.*", "{now}", "%n%s", "café\udcff.odt", " ", "MANIFEST.docs-a")


@attack(Role.BUILDING, RANSOM)
def encrypts_every_document(scene: Scene) -> None:
    ending = scene.draw.choice(("", ".locked"))
    for folder in scene.desk.sources:
        for name, content in files_of(folder).items():
            (folder / name).unlink()
            path = folder / f"{name}{ending}"
            with suppress(OSError):
                path.write_bytes(scene.draw.randbytes(len(content)))


@attack(Role.BUILDING, "docs/decisions/0056-whole-partial-and-shrunken.md")
def deletes_every_document(scene: Scene) -> None:
    for folder in scene.desk.sources:
        for name in files_of(folder):
            (folder / name).unlink()


@attack(Role.BUILDING, "docs/decisions/0045-a-share-moves-with-its-people.md")
def writes_files_with_odd_names(scene: Scene) -> None:
    for name in scene.draw.sample(ODD_NAMES, 4):
        Path(os.fsdecode(os.path.join(os.fsencode(scene.desk.sources[0]), os.fsencode(name)))).write_bytes(b"odd")


@attack(Role.BUILDING, "docs/decisions/0047-laid-out-ahead.md")
def leaves_links_and_pipes_in_a_share(scene: Scene) -> None:
    """Samba makes none for PCs; who could write to the share otherwise might."""
    folder = scene.desk.sources[0]
    with suppress(FileExistsError):
        (folder / "lien").symlink_to(scene.outside)
        (folder / "clefs").symlink_to(scene.desk.layout(STANDBY).keys)
        os.mkfifo(folder / "tube")


@attack(Role.BUILDING, "docs/decisions/0045-a-share-moves-with-its-people.md")
def puts_a_link_where_a_folder_was_saved(scene: Scene) -> None:
    """A restore in place must not go through it."""
    folder = scene.desk.sources[0] / "dossier"
    if folder.is_dir() and not folder.is_symlink():
        for name in files_of(folder):
            (folder / name).unlink()
        folder.rmdir()
        folder.symlink_to(scene.outside)
    elif not folder.is_symlink():
        folder.mkdir()
        scene.write(folder)


@attack(Role.BUILDING, "docs/how-to/acts.md")
def answers_for_the_time_servers_while_a_hold_lasts(scene: Scene) -> None:
    """A holder's wall clock goes years on: the legal hold there ends by that clock, and not by the ageing one."""
    name = scene.draw.choice([it for it in (STANDBY, HOLDER) if it not in scene.owned])
    accept_act(scene.node(name), scene.desk.act("hold", SERVICE, days=400, start=scene.desk.clocks[name].now()))
    scene.frozen.setdefault(name, tuple(scene.held(name)))
    prune_replica(scene.node(name), SERVICE)
    scene.desk.advance(70 * DAY)
    scene.desk.clocks[name].jump_wall(3650 * DAY)
    prune_replica(scene.node(name), SERVICE)
    scene.desk.clocks[name].jump_wall(-3650 * DAY)


@attack(Role.BUILDING, "docs/decisions/0054-own-choice-of-archives.md")
def sets_the_clock_of_the_origin_off(scene: Scene) -> None:
    off = scene.draw.choice((-1, 1)) * scene.draw.choice((0.1, 1, 10)) * 365 * DAY
    clock = scene.desk.clocks[scene.writer]
    clock.jump_wall(off)
    with scene.refused():
        scene.backup()
    clock.jump_wall(-off)


@attack(Role.BUILDING, "SECURITY.md")
def cuts_lines_in_the_middle(scene: Scene) -> None:
    scene.town.world.cut = {scene.draw.choice((STANDBY, HOLDER)): scene.draw.randint(1, 20_000)}
    with scene.refused():
        scene.backup()
    scene.town.world.cut = {}
