"""The pages of a node in process mode, over HTTP, as somebody sees them who is signed in; the dashboards above all."""

from __future__ import annotations

import html
import json
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import httpx

from appliance.errors import ApplianceError
from appliance.host.files import write_atomic
from appliance_lab.processes.node import ProcessNode, free_ports
from appliance_lab.processes.watching import LOOPBACK, Site, Watched

WHO, GROUP = "regis", "regie"
ANSWER_SECONDS_MAX = 10.0
_CHECK = re.compile(r'data-check="([^"]*)" data-role="([^"]*)" data-subject="([^"]*)" data-state="([^"]*)"')


@dataclass(frozen=True)
class Screen:
    """A browser without a screen, in front of the dashboards."""

    browser: httpx.Client

    def page(self, path: str = "") -> str:
        """Return the text of a page of the dashboards; raise ApplianceError when it is refused."""
        answer = self.browser.get(f"/territoire{path}")
        if answer.status_code != 200:
            raise ApplianceError(f"the dashboard answers {answer.status_code} to {path or '/'}.")
        return html.unescape(answer.text)

    def checks(self, node: str) -> dict[tuple[str, str, str], str]:
        """The state of each check, role and subject, as the page of `node` shows it."""
        found = _CHECK.findall(self.page(f"/machines/{node}"))
        return {(check, role, subject): state for check, role, subject, state in found}

    def reasons(self, town: str) -> str:
        """Return what the page says of a town that is not well; "" for one that is."""
        _, _, rest = self.page().partition(f'<h3 id="commune-{town}">')
        return rest.partition("</section>")[0]


def open_screen(node: ProcessNode, watched: Sequence[Watched], prometheus: Site | None = None) -> Screen:
    """Serve the pages of `node`, which asks all exporters and the Prometheus of a site, if any; sign somebody in."""
    write_atomic(node.layout.watch, json.dumps(_where(watched, prometheus)).encode())
    return Screen(open_pages(node, WHO, "--group", GROUP))


def open_pages(node: ProcessNode, name: str, *options: str) -> httpx.Client:
    """Serve the pages of `node`, and sign in somebody new, whose account is added with `options`."""
    password = secrets.token_urlsafe()
    node.cli("account", "add", name, "--title", name.title(), *options, stdin=f"{password}\n".encode())
    code = json.loads(node.cli("--json", "account", "code-sheet", name).stdout)["codes"][0]
    address = f"{LOOPBACK}:{free_ports(LOOPBACK, 1)[0]}"
    node.start_portal(address)
    browser = httpx.Client(base_url=f"http://{address}", timeout=ANSWER_SECONDS_MAX, trust_env=False)
    sign_in(browser, name, password, code)
    return browser


def _where(watched: Sequence[Watched], prometheus: Site | None) -> Mapping[str, object]:
    agents = {it.node: f"http://{LOOPBACK}:{it.port}/metrics" for it in watched}
    return {"agents": agents, **({"prometheus": prometheus.url("prometheus")} if prometheus else {})}


def sign_in(browser: httpx.Client, name: str, password: str, code: str) -> None:
    """Let `browser` in at the pages as `name`; raise ApplianceError when they do not."""
    token = browser.get("/connexion").text.partition('name="jeton" value="')[2].partition('"')[0]
    fields = {"jeton": token, "identifiant": name, "secret": password, "code": code}
    answer = browser.post("/connexion", data=fields, headers={"Origin": str(browser.base_url).rstrip("/")})
    if answer.status_code != 303:
        raise ApplianceError(f"{name} cannot sign in: {answer.status_code}.")
