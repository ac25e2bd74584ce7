"""The pages on hosts: from a PC of the building and from nowhere else, and at the standby once the origin is off."""

from __future__ import annotations

import io
import time
from pathlib import PurePosixPath

import pytest
from reportlab.pdfgen import canvas

from appliance.clock import utc_text
from appliance.host.command import run
from appliance.host.network import netns
from appliance.trust.act import make_act
from appliance.units import DAY
from appliance_lab.hosts import machine
from appliance_lab.hosts.playbook import play_well
from appliance_lab.stories.context import BLIND, ORIGIN, SERVICE, STANDBY, StoryContext
from appliance_lab.story import waiting
from tests.integration.lab.pc import Pc, let_in
from tests.pace import LONG

FILE, PLAN = "/srv/shares/documents/Budget 2026.txt", "/srv/shares/documents/Plan.pdf"
PERSON = "marie.dupont"
STATE = "/srv/appliance/node"
PEOPLE_SECONDS_MAX = LONG * 180.0
CURL_TIMED_OUT = 28
CRASHES = "/run/systemd/system/appliance-portal.service.d/crashes.conf"
SEEN_SECONDS_MAX = LONG * 60.0
HIDDEN = (f"{STATE}/keys", f"{STATE}/services", "/srv/appliance/vault", "/srv/shares", "/var/lib/appliance")

pytestmark = [pytest.mark.root, pytest.mark.xdist_group("lab"), pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def codes(context: StoryContext) -> list[str]:
    """The codes of the code sheet, for the one person who works here; and a file that she changed and then lost."""
    codes = let_in(context, ORIGIN, PERSON)
    context.did(ORIGIN, f"cat >{PLAN}", stdin=a_pdf())
    for text in ("Recettes : 100", "Recettes : 120"):
        context.did(ORIGIN, f"cat >'{FILE}'", stdin=text.encode())
        context.back_up(SERVICE)
    context.did(ORIGIN, f"rm '{FILE}'")
    context.back_up(SERVICE)
    context.wait_until_safe(SERVICE, ORIGIN)
    context.back_up(f"appliance-{ORIGIN}")
    return codes


def a_pdf() -> bytes:
    made = io.BytesIO()
    page = canvas.Canvas(made)
    page.drawString(100, 700, "Plan de la salle des fêtes")
    page.save()
    return made.getvalue()


def test_a_secretary_gets_her_lost_file_back_at_her_pc(context: StoryContext, codes: list[str]) -> None:
    found = Pc(context, ORIGIN, PERSON).saw(ORIGIN, codes[0], "budget")
    assert found["signed_in"] == 303
    assert "En sécurité." in found["home"]
    assert "(supprimé)" in found["page"]
    assert "2 versions" in found["versions"]
    assert found["saved"] == "Recettes : 120"
    assert "data:image/png" in found["drawn"]
    assert Pc(context, ORIGIN, PERSON).saw(ORIGIN, codes[0], "budget")["signed_in"] == 401, "a printed code opens once"


def test_the_pages_see_neither_keys_nor_shares(context: StoryContext, codes: list[str]) -> None:
    visited = ("curl", "--silent", "--insecure", "--output", "/dev/null", "https://127.0.0.1/")
    run(netns.inside(context.lab.plan.node(ORIGIN).namespace, visited), timeout_seconds=300, check=True)
    serving = context.did(ORIGIN, "systemctl", "show", "-P", "MainPID", "appliance-portal.service").strip()
    inside = ("nsenter", "--target", serving, "--mount")
    for place in HIDDEN:
        look = ("find", place, "-mindepth", "1", "-maxdepth", "1")
        assert context.did(ORIGIN, *look), f"{place} has nothing to hide"
        assert context.did(ORIGIN, *inside, *look) == "", place
    context.did(ORIGIN, *inside, "touch", f"{STATE}/portal/written")
    for place in (
        f"{STATE}/bundle",
        f"{STATE}/catalogues/{SERVICE}/catalogue.db",
        "/srv/accounts/accounts.json",
        "/etc/passwd",
    ):
        assert "Read-only file system" in context.refused(ORIGIN, *inside, "env", "LC_ALL=C", "touch", place)


def test_pages_that_end_each_time_they_are_started_are_told_until_they_answer_again(
    context: StoryContext, codes: list[str]
) -> None:
    context.did(ORIGIN, "mkdir", "--parents", str(PurePosixPath(CRASHES).parent))
    context.did(ORIGIN, f"cat >{CRASHES}", stdin=b"[Service]\nExecStart=\nExecStart=/bin/false\n")
    context.did(ORIGIN, "systemctl", "daemon-reload")
    context.did(ORIGIN, "systemctl", "stop", "appliance-portal.service")
    assert not first_page(context)
    with waiting("a third start of the pages", SEEN_SECONDS_MAX) as done:
        while not done(b"ends each time it is started" in context.ssh(ORIGIN, "appliance", "doctor").stdout):
            first_page(context)
    context.did(ORIGIN, "rm", CRASHES)
    context.did(ORIGIN, "systemctl", "daemon-reload")
    with waiting("the pages again", SEEN_SECONDS_MAX) as done:
        while not done(first_page(context)):
            pass


def first_page(context: StoryContext) -> bool:
    """Whether a browser at the node itself gets the first page."""
    asked = ("curl", "--silent", "--insecure", "--max-time", "20", "--output", "/dev/null", "https://127.0.0.1/")
    return run(netns.inside(context.lab.plan.node(ORIGIN).namespace, asked), timeout_seconds=300).exit_code == 0


def test_nobody_asks_from_another_building_or_over_the_mesh(context: StoryContext, codes: list[str]) -> None:
    refused = Pc(context, BLIND, PERSON).ask(ORIGIN, codes[1], "budget")
    assert refused.exit_code == 1
    assert "ConnectTimeout" in refused.stderr.decode()
    mesh = ("curl", "--silent", "--insecure", "--max-time", "5", "https://10.64.0.2/")
    argv = netns.inside(context.lab.plan.node(BLIND).namespace, mesh)
    assert run(argv, timeout_seconds=300).exit_code == CURL_TIMED_OUT


def test_a_node_that_opens_no_service_has_no_pages(context: StoryContext) -> None:
    assert context.ssh(BLIND, "systemctl", "is-enabled", "appliance-portal.socket").stdout.strip() == b"disabled"
    assert ":443" not in context.did(BLIND, "ss", "-Hltn")


def test_a_standby_lets_in_the_town_halls_that_the_team_names(context: StoryContext, codes: list[str]) -> None:
    assert reaches_the_pages(context, ORIGIN) == CURL_TIMED_OUT
    settings = context.control.inventory / "host_vars" / STANDBY / "portal.yml"
    settings.parent.mkdir(parents=True)
    settings.write_text(f"---\nportal_from: [{context.lab.plan.site(ORIGIN).network}]\n")
    play_well(context.control, "site", "--limit", STANDBY)
    assert reaches_the_pages(context, ORIGIN) == 0
    assert reaches_the_pages(context, BLIND) == CURL_TIMED_OUT


def reaches_the_pages(context: StoryContext, site: str) -> int:
    """How curl ends that asks the standby's pages from a PC of `site`."""
    address = context.lab.plan.node(STANDBY).address
    asked = ("curl", "--silent", "--insecure", "--max-time", "5", "--output", "/dev/null", f"https://{address}/")
    return run(netns.inside(context.lab.plan.site(site).namespace, asked), timeout_seconds=300).exit_code


def test_with_the_origin_off_she_signs_in_at_the_standby_as_at_home(context: StoryContext, codes: list[str]) -> None:
    """From her own building. The last test: the origin stays off."""
    context.did(STANDBY, "appliance", "vault", "exchange")
    machine.shut_down(context.lab.plan.node(ORIGIN))
    said = {"act": "lost", "subject": ORIGIN, "service": "any", "operator": "maintenance", "reason": "burnt down"}
    now = time.time()
    act = make_act({**said, "start": utc_text(now - 60), "end": utc_text(now + DAY)}, context.control.operator_key)
    context.did(STANDBY, "cat >/srv/lost.act", stdin=act)
    context.did(STANDBY, "appliance", "act", "accept", "/srv/lost.act")  # else its agent waits for three hours
    with waiting("her account at the standby", PEOPLE_SECONDS_MAX) as done:
        while not done(PERSON in str(context.json(STANDBY, "account", "list")["accounts"])):
            pass
    context.did(
        STANDBY, "systemctl", "restart", "appliance-portal-work.service"
    )  # at a standby it looks all ten minutes
    found = Pc(context, ORIGIN, PERSON).saw(STANDBY, codes[2], "budget")
    assert found["signed_in"] == 303
    assert "En sécurité." in found["home"]
    assert found["saved"] == "Recettes : 120"
