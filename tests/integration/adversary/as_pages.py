"""Attacks by pages that were broken into: they write what they like in their folders, and their worker has the
powers."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from appliance.backup.restore_requests import process_waiting
from appliance.host.layout import RequestFolders
from appliance.restore.ended import expire_requests
from appliance.restore.request import Kind, RequestFolder, RestoreRequest, place_request
from tests.integration.adversary.attacks import attack
from tests.integration.adversary.scene import ORIGIN, SERVICE, Role, Scene
from tests.integration.restore.forged_requests import FORGED, OURS

PAGES = "docs/decisions/0036-pages-and-their-worker.md"


def orders_of(scene: Scene) -> RequestFolders:
    return scene.node(ORIGIN).service(SERVICE).requests


def order(scene: Scene, kind: Kind, *paths: Path, archive: str = "") -> RestoreRequest:
    now = scene.desk.clocks[ORIGIN].now()
    share = str(scene.desk.sources[0]).lstrip("/")
    return place_request(
        orders_of(scene),
        person="marie",
        service=SERVICE,
        kind=kind,
        archive=archive or scene.acknowledged[-1].archive,
        moment_seconds=now,
        paths=tuple(str(path).lstrip("/") for path in paths) or (share,),
        share=share,
        now=now,
    )


def pages_of(scene: Scene, asked: RestoreRequest) -> Path:
    return RequestFolder(orders_of(scene), asked.id).asked


def carry_out(scene: Scene) -> None:
    """Do as the worker does at its next look, and then as it does with expired requests."""
    node = scene.node(ORIGIN)
    with scene.refused():
        list(process_waiting(node))
    with scene.refused():
        expire_requests(orders_of(scene), node.service(SERVICE).restores, age_seconds=node.ageing.now())


@attack(Role.PAGES, PAGES)
def lay_a_link_under_a_name_that_the_worker_writes(scene: Scene) -> None:
    asked, name = order(scene, "download"), scene.draw.choice(OURS)
    link = pages_of(scene, asked) / name
    link.unlink(missing_ok=True)
    link.symlink_to(scene.outside if name == "result" else scene.outside / "sign")
    carry_out(scene)


@attack(Role.PAGES, PAGES)
def lead_a_folder_of_orders_elsewhere(scene: Scene) -> None:
    asked = order(scene, "download")
    folder = pages_of(scene, asked)
    place = scene.draw.choice((folder, folder.parent))
    aside = place.rename(place.with_name("aside"))
    place.symlink_to(scene.outside)
    carry_out(scene)
    place.unlink(missing_ok=True)
    aside.rename(place)


@attack(Role.PAGES, PAGES)
def forge_a_status_that_names_somebody_elses_restore(scene: Scene) -> None:
    asked = order(scene, "download")
    theirs = sorted(it.name for it in scene.node(ORIGIN).service(SERVICE).restores.glob("*"))
    job = scene.draw.choice(["", ".", "..", "../services", "\0", "x" * 300, *theirs])
    told = {"state": "failed", "job": job, "ended_age_seconds": 0, "format": 1}
    (pages_of(scene, asked) / "status.json").write_text(json.dumps(told))
    carry_out(scene)


def _forging(change: dict[str, Any]) -> Callable[[Scene], None]:
    def do(scene: Scene) -> None:
        file = pages_of(scene, order(scene, "download")) / "order.json"
        file.write_text(json.dumps({**json.loads(file.read_text()), **change}))
        carry_out(scene)

    return do


for _change in FORGED:
    attack(Role.PAGES, PAGES, name=f"forge an order with {json.dumps(_change)[:40]}")(_forging(_change))


@attack(Role.PAGES, PAGES)
def order_what_lies_outside_of_the_share(scene: Scene) -> None:
    """The worker restores only what is in the archive, below the folders of the service."""
    for path in ("/etc/passwd", "../../keys", str(scene.outside / "sign"), str(scene.desk.layout(ORIGIN).keys)):
        file = pages_of(scene, order(scene, "in-place")) / "order.json"
        file.write_text(json.dumps({**json.loads(file.read_text()), "paths": [path], "share": "/"}))
    carry_out(scene)


@attack(Role.PAGES, PAGES)
def make_the_worker_wait_at_a_pipe(scene: Scene) -> None:
    file = pages_of(scene, order(scene, "download")) / scene.draw.choice(("order.json", "undo", "again", "status.json"))
    file.unlink(missing_ok=True)
    os.mkfifo(file)
    carry_out(scene)


@attack(Role.PAGES, PAGES)
def write_bytes_that_are_no_order(scene: Scene) -> None:
    raw = scene.draw.choice((b"", b"[" * 100_000, b"\xff", b"{" * 50))
    (pages_of(scene, order(scene, "download")) / "order.json").write_bytes(raw)
    carry_out(scene)


@attack(Role.PAGES, PAGES)
def replace_a_whole_share_without_an_act(scene: Scene) -> None:
    order(scene, "in-place", scene.desk.sources[0])
    carry_out(scene)
