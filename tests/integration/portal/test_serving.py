"""How pages are served: never in clear to others, by TLS with stricter cookies, for people who were given a sheet."""

from __future__ import annotations

import json
import ssl
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from appliance.host.command import run
from appliance_lab.processes.node import free_ports
from tests.integration.portal.world import NODE, OTHER, PASSWORD, World
from tests.waiting import wait_until
from tests.worlds.demo import LOOPBACK


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("tls")
    cert, key = folder / "cert.pem", folder / "key.pem"
    words = ("openssl", "req", "-x509", "-newkey", "ed25519", "-nodes", "-days", "1", "-subj", "/CN=localhost")
    names = ("-addext", f"subjectAltName=DNS:localhost,IP:{LOOPBACK}")
    run((*words, *names, "-out", str(cert), "-keyout", str(key)), timeout_seconds=30, check=True)
    return cert, key


@pytest.mark.parametrize(
    ("words", "code", "say"),
    [
        (("--listen", "192.0.2.1:8443"), 2, "passwords would travel in clear to 192.0.2.1. Give --cert and --key"),
        (("--listen", "0.0.0.0:8443"), 2, "passwords would travel in clear"),
        (("--listen", "localhost:8443"), 2, '"localhost:8443" is not a valid address and port'),
        (("--listen", "127.0.0.1"), 2, "is not a valid address and port"),
        (("--cert", "/nowhere/cert.pem"), 2, "a certificate and its key must be given together"),
        (("--cert", "/nowhere/cert.pem", "--key", "/nowhere/key.pem"), 3, "/nowhere/cert.pem"),
    ],
)
def test_what_cannot_be_served_is_refused_in_a_sentence(
    world: World, words: tuple[str, ...], code: int, say: str
) -> None:
    ended = world.territory.nodes[NODE].cli("internal", "portal", "serve", *words, check=False)
    assert (ended.exit_code, say in ended.stderr.decode()) == (code, True), ended.stderr.decode()


def test_an_address_where_somebody_listens_is_refused(world: World) -> None:
    words = ("internal", "portal", "serve", "--alone", "--listen", f"{LOOPBACK}:{world.port}")
    ended = world.territory.nodes[NODE].cli(*words, check=False)
    assert ended.exit_code == 4
    assert f"{LOOPBACK}:{world.port} is already in use or cannot be bound" in ended.stderr.decode()


def test_by_tls_cookies_go_nowhere_else_and_a_name_of_ours_is_answered(
    world: World, certificate: tuple[Path, Path]
) -> None:
    cert, key = certificate
    port = free_ports(LOOPBACK, 1)[0]
    state = str(world.territory.nodes[NODE].state)
    words = (
        "--state",
        state,
        "internal",
        "portal",
        "serve",
        "--alone",
        "--listen",
        f"{LOOPBACK}:{port}",
        "--answer-after",
        "0",
    )
    names = ("--name", "restauration.example", "--cert", str(cert), "--key", str(key))
    process = subprocess.Popen((sys.executable, "-m", "appliance", "--quiet", *words, *names))
    trust = ssl.create_default_context(cafile=str(cert))
    try:
        with httpx.Client(base_url=f"https://localhost:{port}", verify=trust) as client:
            wait_until(lambda: _is_answered(client), "the pages answer")
            client.cookies.clear()
            answer = client.get("/connexion")
            cookie = answer.headers["set-cookie"]
            assert cookie.startswith("__Host-formulaire=")
            assert "Secure" in cookie
            assert answer.headers["strict-transport-security"].startswith("max-age=")
            assert client.get("/connexion", headers={"Host": "restauration.example"}).status_code == 200
            assert client.get("/connexion", headers={"Host": "elsewhere.example"}).status_code == 400
            token = answer.text.partition('name="jeton" value="')[2].partition('"')[0]
            fields = {
                "jeton": token,
                "identifiant": "lucie",
                "secret": PASSWORD,
                "code": world.people["lucie"].codes.pop(),
            }
            entered = client.post("/connexion", data=fields, headers={"Origin": str(client.base_url).rstrip("/")})
            assert entered.headers["set-cookie"].startswith("__Host-portail=")
    finally:
        process.terminate()
        process.wait(30)


def test_a_sheet_lets_somebody_in_and_a_later_one_makes_it_void(world: World) -> None:
    node = world.territory.nodes[NODE]
    node.cli("account", "add", "anne", "--title", "Anne Petit", stdin=f"{PASSWORD}\n".encode())
    assert world.visit().sign_in("anne", PASSWORD, "000000").status_code == 401, "no sheet yet"
    first = json.loads(node.cli("--json", "account", "code-sheet", "anne").stdout)
    printed = node.cli("account", "code-sheet", "anne").stdout.decode()
    assert "Première connexion" in printed
    assert "█" in printed, "a picture for a phone"
    assert world.visit().sign_in("anne", PASSWORD, first["codes"][0]).status_code == 401
    code = next(line.split()[-1] for line in printed.splitlines() if line.lstrip().startswith("[ ]"))
    anne = world.visit()
    assert anne.sign_in("anne", PASSWORD, code).status_code == 303
    assert anne.get("/").status_code == 200
    listed = json.loads(node.cli("--json", "account", "list").stdout)["accounts"][NODE]
    assert {it["name"]: it["sheet"] for it in listed}["anne"] is True
    node.cli("account", "code-sheet", "anne", "--remove")
    assert anne.get("/").status_code == 303, "what let her in is gone"
    assert b"no account" in node.cli("account", "code-sheet", "nobody", check=False).stderr


def test_somebody_who_works_at_two_town_halls_signs_in_once_and_sees_both(world: World) -> None:
    here, there = (world.territory.nodes[name] for name in (NODE, OTHER))
    stood_in = here.layout.accounts.parent / "of" / f"{OTHER}.json"
    there.layout.accounts.parent.mkdir(parents=True, exist_ok=True)
    there.layout.accounts.write_bytes(stood_in.read_bytes())  # the people of commune-b have their accounts there
    for node in (here, there):
        node.cli("account", "add", "nadia", "--title", "Nadia Roy", stdin=f"{PASSWORD}\n".encode())
    told = here.cli("--json", "account", "code-sheet", "nadia").stdout
    there.cli("account", "code-sheet", "nadia", stdin=told)
    here.cli("internal", "account", "sync", "--from", str(there.layout.accounts))
    codes = json.loads(told)["codes"]
    nadia = world.visit()
    assert nadia.sign_in("nadia", PASSWORD, codes[0]).status_code == 303
    assert "Documents de la commune B" not in nadia.get("/").text, "another sheet there: she is let in here alone"
    there.cli("account", "code-sheet", "nadia", "--same", stdin=told)
    here.cli("internal", "account", "sync", "--from", str(there.layout.accounts))
    nadia = world.visit()
    assert nadia.sign_in("nadia", PASSWORD, codes[1]).status_code == 303
    home = nadia.get("/").text
    assert "Documents de la commune A" in home
    assert "Documents de la commune B" in home
    assert "Budget 2026.txt" in nadia.get("/retrouver?q=budget").text
    assert "Secret de la commune B.txt" in nadia.get("/retrouver?q=secret").text
    assert world.visit().sign_in("nadia", PASSWORD, codes[1]).status_code == 401, "a code opens once"


def _is_answered(client: httpx.Client) -> bool:
    try:
        return client.get("/connexion").status_code == 200
    except httpx.TransportError:
        return False
