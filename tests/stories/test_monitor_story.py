"""Each way to fail is told once, by who can know it, with an all-clear; a false success is caught.

Real Prometheus and Alertmanager at two sites, real agents; everything sixty times faster than on hosts. Tests marked
slow are in `make story-monitor` only.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from appliance.monitor.metrics import CHECK, LACKING, STATES
from appliance.units import MIB
from appliance_lab.processes.watching import Site
from appliance_lab.stories.watched import BLIND, ORIGIN, RPO_SECONDS, SERVICE, STANDBY, WatchedContext, set_up, well
from appliance_lab.story import Unknown, require, waiting
from tests.stories.conftest import Saw

pytestmark = [pytest.mark.steps, pytest.mark.timeout(420)]

SLACK_SECONDS = 30.0
"""The seconds that starting a command, a look of the agent, a scrape and a delivery may take on a busy machine."""
AGREE_SECONDS_MAX = 30.0
SHOWS_SECONDS_MAX = 60.0
"""Within which the dashboard shows a node that was switched off, and one that came back."""
FILMS_MIB = (17, *([1] * 12))
"""The sizes that come at once, and bit by bit: a push that does not fit is refused, and fills nothing."""


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WatchedContext]:
    """Each step may be played alone: it stands on a first backup that is safe."""
    with set_up(tmp_path_factory.mktemp("monitor")) as context:
        context.clock.go()
        with waiting("a safe backup", 60) as done:
            while not done(bool(context.sites[0].ask(f'appliance_backup_copies{{backup="{SERVICE}"}} == 2'))):
                pass
        yield context


@pytest.fixture
def context(watched: WatchedContext) -> WatchedContext:
    """The context from now on: alerts before this test are not of its making."""
    watched.began = time.time()
    return watched


def test_everything_is_well(context: WatchedContext, saw: Saw) -> None:
    context.calm()
    for site in context.sites:
        with waiting(f"an answer of all that {site.name} asks", 60) as done:
            while not done(bool(up := site.ask("up")) and all(up.values())):
                pass
    saw(f"{len(up)} targets answer at both sites, and nothing fires")


def test_a_false_success_is_caught(context: WatchedContext, saw: Saw) -> None:
    """The backup exits with 0 and both peers have signed; then one of them holds nothing any more."""
    holding = context.node(BLIND).layout.vault / SERVICE
    with context.clock.stopped() as back_up:
        require(well(back_up()), "the backup itself failed, so nothing false was said.")
        _wait_until_held(context)
        shutil.rmtree(holding / "generations")
        context.fires("FauxSucces", backup=SERVICE)
        said = _answer(context, ORIGIN, "copies", "written")
        if said != "ok":
            raise Unknown(f"the origin says {said} by itself, so this is no false success.")
        _sees(context, BLIND, "held", "held")
    shutil.rmtree(holding, ignore_errors=True)
    saw(f"the origin said it was safe; {context.clears('FauxSucces', backup=SERVICE)}")


def test_an_agent_stops(context: WatchedContext, saw: Saw) -> None:
    """The machine lives, its agent does not: nobody else would notice before the RPO has passed."""
    node = context.node(STANDBY)
    agent = node.processes.pop(1)
    agent.kill()
    agent.wait()
    try:
        context.fires("AgentArrete", node=STANDBY)
        _sees(context, STANDBY, "agent", "node")
    finally:
        node.start_agent()
        node.processes.insert(1, node.processes.pop())
    saw(context.clears("AgentArrete", node=STANDBY))


@pytest.mark.slow
def test_a_peer_is_cut(context: WatchedContext, saw: Saw) -> None:
    """The peer is gone from one moment to the next: its sshd, its agent, its exporter."""
    context.node(BLIND).kill()
    try:
        context.fires("SiteInjoignable", node=BLIND)
        with waiting("the terminal of the origin naming the peer", SLACK_SECONDS) as done:
            while not done(_answer(context, ORIGIN, "copies", "written") != "ok"):
                pass
    finally:
        context.power_on(BLIND)
    saw(context.clears("SiteInjoignable", node=BLIND))


@pytest.mark.slow
def test_bytes_flip_in_a_pool(context: WatchedContext, saw: Saw) -> None:
    """A bit of a blob flips in a pool, while nobody is there to mend it from."""
    holding = context.node(BLIND).layout.vault / SERVICE
    with context.clock.stopped():
        _wait_until_held(context)
        others = [context.node(name) for name in (ORIGIN, STANDBY)]
        doors = [node.processes.pop(0) for node in others]
        for door in doors:
            door.kill()
            door.wait()
        try:
            _flip(max((holding / "pool").glob("*/*"), key=lambda path: path.stat().st_size))
            context.node(BLIND).cli("vault", "scrub", SERVICE, check=False)
            context.fires("CopieEndommagee", backup=SERVICE, peer=BLIND)
            _sees(context, BLIND, "damage", "held")
        finally:
            for node in others:
                node.start_sshd()
                node.processes.insert(0, node.processes.pop())
        context.node(BLIND).cli("vault", "repair", SERVICE, check=False)
        saw(context.clears("CopieEndommagee", backup=SERVICE, peer=BLIND))


@pytest.mark.slow
def test_a_monitoring_site_stops(context: WatchedContext, saw: Saw) -> None:
    _, second = context.sites
    second.stop()
    try:
        context.fires("SurveillanceMuette", node=second.name)
        with waiting("the page saying that its history is missing", SHOWS_SECONDS_MAX) as done:
            while not done("l'historique et les alertes manquent" in context.screen.page()):
                pass
        service = context.screen.page(f"/services/{SERVICE}")
        require("L'historique manque" in service, f"the page of {SERVICE} shows a history that nobody gave it.")
        require(bool(context.screen.checks(ORIGIN)), "without Prometheus the page knows no checks.")
    finally:
        second.start(context.watched, context.sites, context.catcher.url)
    cleared = context.clears("SurveillanceMuette", node=second.name)
    saw(f"{cleared}; meanwhile the page went on without its history")


@pytest.mark.slow
def test_backups_stop_for_three_rpo(context: WatchedContext, saw: Saw) -> None:
    began = time.monotonic()
    with context.clock.stopped():
        context.fires("SauvegardeTresEnRetard", 3 * RPO_SECONDS + SLACK_SECONDS, backup=SERVICE)
        after = time.monotonic() - began
        _sees(context, ORIGIN, "backup-age", "written")
        _sees(context, BLIND, "held-age", "held")
    cleared = context.clears("SauvegardeTresEnRetard", backup=SERVICE)
    saw(f"{cleared}; after {after:.0f} s, 3 RPO are {3 * RPO_SECONDS}")


@pytest.mark.slow
def test_a_quota_fills_up(context: WatchedContext, saw: Saw) -> None:
    """Documents grow until hardly anything of the share is left; more room is signed for."""
    with context.clock.stopped() as back_up:
        for number, mib in enumerate(FILMS_MIB):
            (context.documents / f"film-{number}.bin").write_bytes(os.urandom(mib * MIB))
            back_up()
            _wait_until_held(context)
            if _answer(context, BLIND, "quota", "held") != "ok":
                break
    context.fires("QuotaPresquePlein", backup=SERVICE, peer=BLIND)
    _sees(context, BLIND, "quota", "held")
    territory = context.territory
    service = territory.territory.service(SERVICE)
    with context.clock.stopped():
        more = replace(service, quota_bytes=4 * service.quota_bytes)
        territory.territory = replace(territory.territory, services={SERVICE: more})
        territory.sign()
    saw(context.clears("QuotaPresquePlein", backup=SERVICE, peer=BLIND))


def test_terminal_and_prometheus_agree(context: WatchedContext, saw: Saw) -> None:
    """Every check of every node has the same answer in the terminal and in Prometheus, at both sites."""
    checks = 0
    for name in context.territory.nodes:
        with waiting(f"terminal and Prometheus agreeing about {name}", AGREE_SECONDS_MAX) as done:
            while not done(all(_states(site, name) == context.doctor(name) for site in context.sites)):
                pass
        checks += len(context.doctor(name))
    saw(f"{checks} answers of `appliance doctor` are what Prometheus has at both sites")


def test_page_and_terminal_agree(context: WatchedContext, saw: Saw) -> None:
    """Every check of every node has the same answer on the dashboard and in the terminal."""
    checks = 0
    for name in context.territory.nodes:
        with waiting(f"page and terminal agreeing about {name}", SHOWS_SECONDS_MAX + AGREE_SECONDS_MAX) as done:
            while not done(context.screen.checks(name) == context.doctor(name)):
                pass
        checks += len(context.doctor(name))
    saw(f"{checks} answers of `appliance doctor` are what the dashboard shows")


def test_a_node_that_is_switched_off_shows_on_the_page(context: WatchedContext, saw: Saw) -> None:
    """A node is switched off: the dashboard says so within a minute, since when, and what to do."""
    context.node(BLIND).kill()
    began = time.monotonic()
    try:
        with waiting("the silent node on the page", SHOWS_SECONDS_MAX) as done:
            while not done("SiteInjoignable" in context.screen.reasons(BLIND)):
                pass
        after, said = time.monotonic() - began, context.screen.reasons(BLIND)
        require("Silence depuis" in said, "the page does not say since when.")
        require("Que faire" in said, "the page does not say what to do.")
        require(set(context.screen.checks(BLIND).values()) == {"unknown"}, "its last answers are shown as the present.")
    finally:
        context.power_on(BLIND)
    with waiting("the end of its silence on the page", SHOWS_SECONDS_MAX) as done:
        while not done("SiteInjoignable" not in context.screen.reasons(BLIND)):
            pass
    context.calm()
    saw(f"it was there after {after:.0f} s, with the remedy, and went when the node came back")


def _states(site: Site, node: str) -> dict[tuple[str, str, str], str]:
    names = {value: state for state, value in STATES.items()} | {LACKING: "unknown"}
    found = {}
    for labels, value in site.ask(f'{CHECK.full_name}{{node="{node}"}}').items():
        told = dict(labels)
        found[told["check"], told["role"], told["subject"]] = names[int(value)]
    return found


def _answer(context: WatchedContext, node: str, check: str, role: str) -> str:
    subject = node if role == "node" else SERVICE
    return context.doctor(node).get((check, role, subject), "absent")


def _sees(context: WatchedContext, node: str, check: str, role: str) -> None:
    """Raise Violated unless the terminal of `node` says it too."""
    said = _answer(context, node, check, role)
    require(said not in ("ok", "absent"), f"`appliance doctor` on {node} says of {check}: {said}.")


def _wait_until_held(context: WatchedContext) -> None:
    """Until every peer has the newest generation, so that no push mends anything by the way."""
    with waiting("the newest generation at every peer", SLACK_SECONDS) as done:
        while not done(_answer(context, ORIGIN, "copies", "written") == "ok"):
            pass


def _flip(path: Path) -> None:
    """One byte becomes another; time and size stay."""
    times = path.stat()
    path.chmod(0o640)
    with open(path, "r+b") as file:
        file.seek(times.st_size // 2)
        byte = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte[0] ^ 1]))
    path.chmod(0o440)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
