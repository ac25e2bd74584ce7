"""The services of a host while the privileged helper is at work, and when it is cut."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from appliance.errors import Unreachable
from appliance.failover.copies import BackupCopies
from appliance.failover.forms import host_services
from appliance.failover.forms.host_services import HostCopies, HostServices
from appliance.failover.forms.privileged_client import HelperPaths
from appliance.failover.fsm.model import Local
from appliance.failover.ports import Presented
from appliance.node.current import Current
from appliance.node.movable_services import MovableService

SITE = "horaires"


@pytest.fixture
def services(tmp_path: Path) -> HostServices:
    """A site that runs here."""
    plan = {
        "form": "site",
        "address": "10.64.8.1",
        "port": 80,
        "folder": str(tmp_path),
        "unit": f"appliance-site@{SITE}.service",
        "copy": f"appliance-site-copy@{SITE}.service",
        "here": True,
        "nodes": {"commune-a": "10.64.0.2"},
    }
    (tmp_path / "served.json").write_text(json.dumps({"services": {SITE: plan}}))
    cgroup = tmp_path / f"appliance-site@{SITE}.service"
    cgroup.mkdir()
    (cgroup / "cgroup.events").write_text("populated 1\n")
    return HostServices(tmp_path, HelperPaths(tmp_path / "served.json", str(tmp_path), tmp_path / "hands.sock"))


RUNS = Local(writer=True, writable=True)
WAITS = Local(writer=True, writable=True, held=True, holding=True)
MAY_WAIT = Local(writer=True, writable=True, holding=True)


def test_whatever_cuts_a_hold_or_its_end_clients_are_known_to_wait_perhaps(
    services: HostServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = [Unreachable("cut"), None, Unreachable("cut"), None]

    async def hands(verb: str, service: str, paths: HelperPaths) -> None:
        if (error := answers.pop(0)) is not None:
            raise error

    monkeypatch.setattr(host_services, "ask_helper", hands)
    with pytest.raises(Unreachable):
        asyncio.run(services.hold(SITE))
    assert services.look(SITE) == MAY_WAIT, "nothing is synced yet, and ACTIVE lets them go on"
    asyncio.run(services.hold(SITE))
    assert services.look(SITE) == WAITS
    with pytest.raises(Unreachable):
        asyncio.run(services.resume(SITE))
    assert services.look(SITE) == MAY_WAIT
    asyncio.run(services.resume(SITE))
    assert services.look(SITE) == RUNS


def test_a_hold_that_the_filter_has_forgotten_is_begun_again(
    services: HostServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hands(verb: str, service: str, paths: HelperPaths) -> None:
        if verb == "check-held":
            raise Unreachable("get element failed")

    monkeypatch.setattr(host_services, "ask_helper", hands)
    asyncio.run(services.hold(SITE))
    with pytest.raises(Unreachable):
        asyncio.run(services.check_held(SITE))
    assert services.look(SITE) == MAY_WAIT


def test_a_site_whose_folder_waits_is_served_all_the_same(
    services: HostServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hands(verb: str, service: str, paths: HelperPaths) -> None:
        monkeypatch.setattr(host_services, "_is_writable", lambda folder: verb != "hold")

    monkeypatch.setattr(host_services, "ask_helper", hands)
    asyncio.run(services.hold(SITE))
    assert services.look(SITE) == WAITS
    asyncio.run(services.resume(SITE))
    assert services.look(SITE) == RUNS


def test_a_folder_is_made_writable_while_the_grant_is_shown_and_asked_for_only_once(
    services: HostServices, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, done = list[str](), list[str]()

    async def hands(verb: str, service: str, paths: HelperPaths) -> None:
        asked.append(verb)
        if len(asked) == 1:
            raise Unreachable("root's hands rest")
        writable.append(True)

    async def present(self: BackupCopies, service: str) -> Presented:
        while not asked:
            await asyncio.sleep(0)
        return Presented(("hermitage",), 0)

    async def adopt(self: BackupCopies, service: str, **how: object) -> None:
        done.append(service)

    writable = list[bool]()
    monkeypatch.setattr(host_services, "ask_helper", hands)
    monkeypatch.setattr(host_services, "_is_writable", lambda folder: bool(writable))
    monkeypatch.setattr(BackupCopies, "present", present)
    monkeypatch.setattr(BackupCopies, "adopt", adopt)
    copies = HostCopies(cast(Current, None), HelperPaths(tmp_path / "served.json"))

    assert asyncio.run(copies.present(SITE)) == Presented(("hermitage",), 0), "what hands refuse is told by adopting"
    asyncio.run(copies.adopt(SITE, keep_files=True))
    assert asked == ["writable"], "its files stay as they are"
    asyncio.run(copies.adopt(SITE, keep_files=False))
    asyncio.run(copies.adopt(SITE, keep_files=False))
    assert (asked, done) == (["writable"] * 2, [SITE] * 3)


def test_what_rests_is_closed_and_what_fails_is_told(services: HostServices, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = list[tuple[str, str]]()

    async def ask(verb: str, service: str) -> None:
        if service == "docs-a":
            raise Unreachable("the privileged helper did not answer")
        asked.append((verb, service))

    rests = MovableService("site", "10.64.8.2", 80, "/srv/sites", "appliance-site@rests.service", "", True, frozenset())
    found = {"docs-a": rests, "docs-b": rests, "elsewhere": replace(rests, here=False)}
    monkeypatch.setattr(services, "_moving", {SITE: services._moving[SITE], **found})
    monkeypatch.setattr(services, "_ask", ask)
    assert asyncio.run(services.close_what_rests()) == {"docs-a": "the privileged helper did not answer"}
    assert asked == [("read-only", "docs-b")]


def test_what_serves_nothing_of_this_node_is_ended_and_what_fails_is_told(
    services: HostServices, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for unit, many in (
        (f"appliance-site-copy@{SITE}", 1),
        (f"appliance-share-away@{SITE}", 1),
        ("appliance-share@was-a-share", 1),
        ("appliance-share-away@was-a-share", 1),
        ("appliance-site-copy@given", 1),
        ("appliance-share@another-form", 1),
        ("appliance-site@hangs", 1),
        ("appliance-site@rests", 0),
        ("appliance-vault@nobody", 1),
    ):
        cgroup = tmp_path / f"{unit}.service"
        cgroup.mkdir()
        (cgroup / "cgroup.events").write_text(f"populated {many}\n")
    asked = list[tuple[str, str]]()

    async def ask(verb: str, service: str) -> None:
        if service == "hangs":
            raise Unreachable("the privileged helper did not answer")
        asked.append((verb, service))

    given = MovableService(
        "site",
        "10.64.8.2",
        80,
        "/srv",
        "appliance-site@given.service",
        "appliance-site-copy@given.service",
        False,
        frozenset(),
    )
    form = replace(given, unit="appliance-site@another-form.service", copy="", here=True)
    monkeypatch.setattr(services, "_moving", {SITE: services._moving[SITE], "given": given, "another-form": form})
    monkeypatch.setattr(services, "_ask", ask)
    assert asyncio.run(services.end_what_left()) == {"hangs": "the privileged helper did not answer"}
    assert sorted(asked) == [("end", "another-form"), ("end", "given"), ("end", "was-a-share")]
