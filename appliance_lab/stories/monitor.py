"""The story `monitor`: each way to fail is told once, by who can know it, with an all-clear; a false success is caught.

Real Prometheus and Alertmanager at two sites, real agents; everything sixty times faster than on hosts.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from appliance.host.files import make_private_folder
from appliance.monitor.metrics import CHECK, LACKING, STATES
from appliance.units import MIB
from appliance_lab.processes.watching import Site
from appliance_lab.stories.watched import BLIND, ORIGIN, RPO_SECONDS, SERVICE, STANDBY, Ground, lay, well
from appliance_lab.story import Story, Unknown, require, waiting

TITLE = "Silence and false success are told"
SLACK_SECONDS = 30.0
"""What starting a command, a look of the agent, a scrape and a delivery may take on a busy machine."""
AGREE_SECONDS_MAX = 30.0
SHOWS_SECONDS_MAX = 60.0
"""Within which the dashboard shows a node that was switched off, and one that came back."""
FILMS_MIB = (17, *([1] * 12))
"""What comes at once, and what comes bit by bit: a push that does not fit is refused, and fills nothing."""


def at_rest(ground: Ground) -> str:
    ground.clock.go()
    with waiting("a safe backup", 60) as done:
        while not done(bool(ground.sites[0].ask(f'appliance_backup_copies{{backup="{SERVICE}"}} == 2'))):
            pass
    ground.calm()
    for site in ground.sites:
        with waiting(f"an answer of all that {site.name} asks", 60) as done:
            while not done(bool(up := site.ask("up")) and all(up.values())):
                pass
    return f"{len(up)} targets answer at both sites, and nothing fires"


def backup_stopped(ground: Ground) -> str:
    began = time.monotonic()
    with ground.clock.stopped():
        ground.fires("SauvegardeTresEnRetard", 3 * RPO_SECONDS + SLACK_SECONDS, backup=SERVICE)
        after = time.monotonic() - began
        _sees(ground, ORIGIN, "backup-age", "written")
        _sees(ground, BLIND, "held-age", "held")
    cleared = ground.clears("SauvegardeTresEnRetard", backup=SERVICE)
    return f"{cleared}; after {after:.0f} s, 3 RPO are {3 * RPO_SECONDS}"


def peer_cut(ground: Ground) -> str:
    """The peer is gone from one moment to the next: its sshd, its agent, its exporter."""
    ground.node(BLIND).kill()
    try:
        ground.fires("SiteInjoignable", node=BLIND)
        with waiting("the terminal of the origin naming the peer", SLACK_SECONDS) as done:
            while not done(_answer(ground, ORIGIN, "copies", "written") != "ok"):
                pass
    finally:
        ground.power_on(BLIND)
    return ground.clears("SiteInjoignable", node=BLIND)


def agent_stopped(ground: Ground) -> str:
    """The machine lives, its agent does not: nobody else would notice before the RPO has passed."""
    node = ground.node(STANDBY)
    agent = node.processes.pop(1)
    agent.kill()
    agent.wait()
    try:
        ground.fires("AgentArrete", node=STANDBY)
        _sees(ground, STANDBY, "agent", "node")
    finally:
        node.start_agent()
        node.processes.insert(1, node.processes.pop())
    return ground.clears("AgentArrete", node=STANDBY)


def bytes_flipped(ground: Ground) -> str:
    """A bit of a blob flips in a pool, while nobody is there to mend it from."""
    holding = ground.node(BLIND).layout.vault / SERVICE
    with ground.clock.stopped():
        _wait_until_held(ground)
        others = [ground.node(name) for name in (ORIGIN, STANDBY)]
        doors = [node.processes.pop(0) for node in others]
        for door in doors:
            door.kill()
            door.wait()
        try:
            _flip(max((holding / "pool").glob("*/*"), key=lambda path: path.stat().st_size))
            ground.node(BLIND).cli("vault", "scrub", SERVICE, check=False)
            ground.fires("CopieEndommagee", backup=SERVICE, peer=BLIND)
            _sees(ground, BLIND, "damage", "held")
        finally:
            for node in others:
                node.start_sshd()
                node.processes.insert(0, node.processes.pop())
        ground.node(BLIND).cli("vault", "repair", SERVICE, check=False)
        return ground.clears("CopieEndommagee", backup=SERVICE, peer=BLIND)


def quota_filled(ground: Ground) -> str:
    """Documents grow until hardly anything of the share is left; more room is signed for."""
    with ground.clock.stopped() as back_up:
        for number, mib in enumerate(FILMS_MIB):
            (ground.documents / f"film-{number}.bin").write_bytes(os.urandom(mib * MIB))
            back_up()
            _wait_until_held(ground)
            if _answer(ground, BLIND, "quota", "held") != "ok":
                break
    ground.fires("QuotaPresquePlein", backup=SERVICE, peer=BLIND)
    _sees(ground, BLIND, "quota", "held")
    territory = ground.territory
    service = territory.territory.service(SERVICE)
    with ground.clock.stopped():
        more = replace(service, quota_bytes=4 * service.quota_bytes)
        territory.territory = replace(territory.territory, services={SERVICE: more})
        territory.sign()
    return ground.clears("QuotaPresquePlein", backup=SERVICE, peer=BLIND)


def monitoring_site_stopped(ground: Ground) -> str:
    _, second = ground.sites
    second.stop()
    try:
        ground.fires("SurveillanceMuette", node=second.name)
        with waiting("the page saying that its history is missing", SHOWS_SECONDS_MAX) as done:
            while not done("l'historique et les alertes manquent" in ground.screen.page()):
                pass
        service = ground.screen.page(f"/services/{SERVICE}")
        require("L'historique manque" in service, f"the page of {SERVICE} shows a history that nobody gave it.")
        require(bool(ground.screen.checks(ORIGIN)), "without Prometheus the page knows no checks.")
    finally:
        second.start(ground.watched, ground.sites, ground.catcher.url)
    cleared = ground.clears("SurveillanceMuette", node=second.name)
    return f"{cleared}; meanwhile the page went on without its history"


def false_success(ground: Ground) -> str:
    """The backup ends with 0 and both peers have signed; then one of them holds nothing any more."""
    holding = ground.node(BLIND).layout.vault / SERVICE
    with ground.clock.stopped() as back_up:
        require(well(back_up()), "the backup itself failed, so nothing false was said.")
        _wait_until_held(ground)
        shutil.rmtree(holding / "generations")
        ground.fires("FauxSucces", backup=SERVICE)
        said = _answer(ground, ORIGIN, "copies", "written")
        if said != "ok":
            raise Unknown(f"the origin says {said} by itself, so this is no false success.")
        _sees(ground, BLIND, "held", "held")
    shutil.rmtree(holding, ignore_errors=True)
    return f"the origin said it was safe; {ground.clears('FauxSucces', backup=SERVICE)}"


def agree(ground: Ground) -> str:
    """Every check of every node has the same answer in the terminal and in Prometheus, at both sites."""
    checks = 0
    for name in ground.territory.nodes:
        with waiting(f"terminal and Prometheus agreeing about {name}", AGREE_SECONDS_MAX) as done:
            while not done(all(_states(site, name) == ground.doctor(name) for site in ground.sites)):
                pass
        checks += len(ground.doctor(name))
    return f"{checks} answers of `appliance doctor` are what Prometheus has at both sites"


def page_agrees(ground: Ground) -> str:
    """Every check of every node has the same answer on the dashboard and in the terminal."""
    checks = 0
    for name in ground.territory.nodes:
        with waiting(f"page and terminal agreeing about {name}", SHOWS_SECONDS_MAX + AGREE_SECONDS_MAX) as done:
            while not done(ground.screen.checks(name) == ground.doctor(name)):
                pass
        checks += len(ground.doctor(name))
    return f"{checks} answers of `appliance doctor` are what the dashboard shows"


def page_shows_silence(ground: Ground) -> str:
    """A node is switched off: the dashboard says so within a minute, since when, and what to do."""
    ground.node(BLIND).kill()
    began = time.monotonic()
    try:
        with waiting("the silent node on the page", SHOWS_SECONDS_MAX) as done:
            while not done("SiteInjoignable" in ground.screen.reasons(BLIND)):
                pass
        after, said = time.monotonic() - began, ground.screen.reasons(BLIND)
        require("Silence depuis" in said, "the page does not say since when.")
        require("Que faire" in said, "the page does not say what to do.")
        require(set(ground.screen.checks(BLIND).values()) == {"unknown"}, "its last answers are shown as the present.")
    finally:
        ground.power_on(BLIND)
    with waiting("the end of its silence on the page", SHOWS_SECONDS_MAX) as done:
        while not done("SiteInjoignable" not in ground.screen.reasons(BLIND)):
            pass
    ground.calm()
    return f"it was there after {after:.0f} s, with the remedy, and went when the node came back"


def _states(site: Site, node: str) -> dict[tuple[str, str, str], str]:
    names = {value: state for state, value in STATES.items()} | {LACKING: "unknown"}
    found = {}
    for labels, value in site.ask(f'{CHECK.full_name}{{node="{node}"}}').items():
        told = dict(labels)
        found[told["check"], told["role"], told["subject"]] = names[int(value)]
    return found


def _answer(ground: Ground, node: str, check: str, role: str) -> str:
    subject = node if role == "node" else SERVICE
    return ground.doctor(node).get((check, role, subject), "absent")


def _sees(ground: Ground, node: str, check: str, role: str) -> None:
    """Raise Violated unless the terminal of `node` says it too."""
    said = _answer(ground, node, check, role)
    require(said not in ("ok", "absent"), f"`appliance doctor` on {node} says of {check}: {said}.")


def _wait_until_held(ground: Ground) -> None:
    """Until every peer has the newest generation, so that no push mends anything by the way."""
    with waiting("the newest generation at every peer", SLACK_SECONDS) as done:
        while not done(_answer(ground, ORIGIN, "copies", "written") == "ok"):
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


STEPS = {
    "everything is well": at_rest,
    "a false success is caught": false_success,
    "an agent stops": agent_stopped,
    "a peer is cut": peer_cut,
    "bytes flip in a pool": bytes_flipped,
    "a monitoring site stops": monitoring_site_stopped,
    "backups stop for three RPO": backup_stopped,
    "a quota fills up": quota_filled,
    "terminal and Prometheus agree": agree,
    "page and terminal agree": page_agrees,
    "a node that is switched off shows on the page": page_shows_silence,
}


def _play(step: Callable[[Ground], str], ground: Ground) -> str:
    ground.began = time.time()
    return step(ground)


def play(
    name: str, inventory: Path, report: Path, say: Callable[[str], None], *, keep: bool, steps: tuple[str, ...] = ()
) -> Story:
    """Play it beside `report`, whose folder it cleans up; `steps` are some of STEPS, all by default.

    It is played in processes on this machine: `name` and `inventory` are a lab's, and there is nothing to keep up.
    """
    work = make_private_folder(report.absolute().parent / "monitor.work")
    shutil.rmtree(work)
    story = Story("monitor", TITLE, report)
    try:
        with lay(make_private_folder(work)) as ground:
            for what, step in STEPS.items():
                if not steps or what in steps:
                    story.step(what, partial(_play, step, ground))
        story.write()
    finally:
        if not keep:
            shutil.rmtree(work, ignore_errors=True)
    return story
