"""An attacker types, sends or leaves something behind: a clear answer, nothing leaked, nothing lost."""

from __future__ import annotations

import contextlib
import re
import socket
from urllib.parse import quote

import httpx
import pytest

from appliance.clock import SystemClock
from appliance.portal.base.journal import ChainedJournal
from appliance.portal.paths import PortalPaths
from tests.integration.portal.world import OTHER, PASSWORD, Visitor, World, code_of
from tests.waiting import wait_until

FORBIDDEN_WORDS = re.compile(r"Traceback|/nodes/|catalogue\.db|sqlite|borg", re.IGNORECASE)
SECRET = "Secret de la commune B.txt"


@pytest.fixture
def marie(world: World) -> Visitor:
    return world.visit("marie")


@pytest.fixture
def outsider(world: World) -> Visitor:
    return world.visit()


# Out of scope


@pytest.mark.parametrize(
    "address",
    [
        "/fichier/docs-b?chemin={secret}",
        "/dossier/docs-b",
        "/dossier/docs-b?chemin={others}",
        "/dossier/docs-a?chemin={others}",
        "/fichier/docs-a?chemin={secret}",
        "/attaque/docs-b",
        "/supprimes?partage=docs-b",
        "/dossier/docs-a?chemin=etc",
        "/dossier/docs-a?chemin=../../etc",
        "/dossier/docs-a?chemin={documents}/../others",
        "/dossier/docs-a?chemin={documents}/..",
        "/dossier/docs-a?chemin=/",
        "/dossier/docs-a?chemin=.",
        "/fichier/docs-a?chemin=%00",
        "/fichier/docs-a?chemin={documents}%00",
        "/fichier/docs-a?chemin=%ff%fe",
        "/fichier/..%2f..%2fetc?chemin=passwd",
        "/fichier/nothing?chemin=x",
        "/statique/../site.py",
        "/statique/..%2fsite.py",
        "/statique/%2e%2e/%2e%2e/build.py",
        "/demandes/../../etc/passwd",
        "/demandes/..%2f..%2fjournal.jsonl",
        "/demandes/00000000000000000000000000000000",
        "/demandes/00000000000000000000000000000000/fichier",
        "/voir/00000000000000000000000000000000",
        "/comparer/0/0",
    ],
)
def test_what_is_not_hers_looks_as_if_it_did_not_exist(world: World, marie: Visitor, address: str) -> None:
    others = quote(str(world.others).lstrip("/"))
    documents = quote(str(world.documents).lstrip("/"))
    answer = marie.get(address.format(secret=f"{others}/{quote(SECRET)}", others=others, documents=documents))
    assert answer.status_code == 404
    assert "Secret" not in _said(answer)
    assert not FORBIDDEN_WORDS.search(_said(answer))


def test_no_number_counts_what_is_out_of_scope(world: World, marie: Visitor) -> None:
    for page in ("/retrouver?q=secret", "/retrouver?q=commune", "/supprimes", "/attaque", "/"):
        text = marie.get(page).text
        assert SECRET not in text
        assert "commune B" not in text
    nothing = _said(marie.get("/retrouver?q=secret")).replace('value="secret"', "").replace("secret –", "")
    absent = _said(marie.get("/retrouver?q=zzzzzz")).replace('value="zzzzzz"', "").replace("zzzzzz –", "")
    assert nothing == absent, "a hit that she may not see is no hit"
    assert world.visit("paul").get("/retrouver?q=secret").text.count(SECRET) == 1


@pytest.mark.parametrize("action", ["in-place", "copy", "folder"])
def test_nothing_out_of_scope_can_be_ordered_alone_or_among_others(world: World, marie: Visitor, action: str) -> None:
    archive = "wednesday"
    own = f"docs-a {archive} {quote(world.archived('Budget 2026.txt'))}"
    before = len(list(world.state.glob("portal/orders/*/*")))
    for wish in (
        f"docs-b {archive} {quote(str(world.others / SECRET)[1:])}",
        f"docs-a {archive} {quote(str(world.others / SECRET)[1:])}",
        f"docs-a {archive} {quote(world.archived('..', 'others', SECRET))}",
        f"docs-a {archive} etc/passwd",
        f"docs-a {archive} {quote(world.archived('Budget 2026.txt'))}%00",
        f"docs-a no-such-day {quote(world.archived('Budget 2026.txt'))}",
        f"docs-a --help {quote(world.archived('Budget 2026.txt'))}",
    ):
        assert marie.submit("/demandes", quoi=[own, wish], action=action).status_code == 404
    for wish in ("", "docs-a", "docs-a x", "docs-a x y z", " ".join("abcd"), "x" * 20_000):
        assert marie.submit("/demandes", quoi=wish, action=action).status_code in (400, 404)
    assert marie.submit("/demandes", quoi=own, action="delete").status_code == 400
    assert len(list(world.state.glob("portal/orders/*/*"))) == before


def test_an_order_is_only_its_owners(world: World, marie: Visitor) -> None:
    wish = f"docs-a wednesday {quote(world.archived('Budget 2026.txt'))}"
    order = world.visit("regis").submit("/demandes", quoi=wish, action="copy").headers["location"]
    wait_until(lambda: "C&#39;est prêt" in world.visit("regis").get(order).text, "it is ready")
    for address in (order, f"{order}/fichier", order.replace("demandes", "voir")):
        assert marie.get(address).status_code == 404
    for verb in ("annuler", "reprendre"):
        assert marie.submit(f"{order}/{verb}").status_code == 404
    assert order not in marie.get("/demandes").text


def test_a_whole_share_is_not_replaced_without_a_signed_act(world: World, marie: Visitor) -> None:
    before = {path: path.stat().st_mtime_ns for path in world.documents.rglob("*")}
    wish = f"docs-a monday {quote(world.archived())}"
    order = marie.submit("/demandes", quoi=wish, action="in-place").headers["location"]
    wait_until(lambda: "accord signé de la régie" in marie.get(order).text, "it is refused")
    assert {path: path.stat().st_mtime_ns for path in world.documents.rglob("*")} == before


def test_a_whole_share_comes_back_in_place_while_a_signed_act_is_in_force_and_can_be_undone(
    world: World, marie: Visitor
) -> None:
    places = ("/attaque", f"/dossier/docs-a?chemin={quote(world.archived())}")
    for page in places:
        assert 'value="in-place"' not in marie.get(page).text
        assert "demande l&#39;accord signé de la régie" in marie.get(page).text
    before = {path: path.read_bytes() for path in world.documents.rglob("*") if path.is_file()}
    act = world.agree()
    try:
        for page in places:
            wait_until(lambda page=page: 'value="in-place"' in marie.get(page).text, f"{page} offers it")
        wish = f"docs-a monday {quote(world.archived())}"
        order = marie.submit("/demandes", quoi=wish, action="in-place").headers["location"]
        wait_until(lambda: "C&#39;est fait." in marie.get(order).text, "all of it is back")
        assert (world.documents / "Conseil/2026/Délibération 12.txt").read_text() == "La délibération du conseil.\n"
        assert (world.documents / "Budget 2026.txt").read_text() == "Recettes : 100\nDépenses : 90\n"
        assert all((world.documents / path).exists() for path in before), "what came since is not taken away"
        marie.submit(f"{order}/annuler")
        wait_until(lambda: "tout est comme avant" in marie.get(order).text, "it is undone")
        assert {path: path.read_bytes() for path in world.documents.rglob("*") if path.is_file()} == before
    finally:
        act.unlink()
    for page in places:
        wait_until(lambda page=page: 'value="in-place"' not in marie.get(page).text, f"{page} offers it no more")


# Forms and sessions


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "https://elsewhere.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
    ],
    ids=str,
)
def test_a_form_of_another_site_does_nothing_even_with_the_token(
    world: World, marie: Visitor, headers: dict[str, str]
) -> None:
    wish = f"docs-a wednesday {quote(world.archived('Budget 2026.txt'))}"
    fields = {"jeton": marie.token("/"), "quoi": wish, "action": "copy"}
    assert marie.post("/demandes", data=fields, headers=headers).status_code == 403
    assert marie.post("/deconnexion", data={"jeton": fields["jeton"]}, headers=headers).status_code == 403
    assert marie.get("/session").status_code == 200


@pytest.mark.parametrize("token", ["", "0" * 64, "\udcff", "é"])
def test_a_form_without_the_token_of_the_session_does_nothing(world: World, marie: Visitor, token: str) -> None:
    body = b"jeton=" + quote(token, errors="surrogateescape").encode()
    headers = {"Origin": world.address, "Content-Type": "application/x-www-form-urlencoded"}
    assert marie.post("/deconnexion", content=body, headers=headers).status_code == 403
    other = world.visit("regis").token("/")
    assert marie.post("/deconnexion", data={"jeton": other}, headers={"Origin": world.address}).status_code == 403
    multipart = {"jeton": (None, marie.token("/"))}
    assert marie.post("/deconnexion", files=multipart, headers={"Origin": world.address}).status_code == 403


def test_a_session_that_somebody_laid_into_the_browser_becomes_nobodys(world: World, outsider: Visitor) -> None:
    outsider.cookies.set("portail", "fixed-by-an-attacker")
    who = world.people["lucie"]
    answer = outsider.sign_in("lucie", PASSWORD, who.codes.pop())
    assert answer.status_code == 303
    given = answer.headers["set-cookie"]
    assert "fixed-by-an-attacker" not in given
    assert {"HttpOnly", "SameSite=strict", "Path=/"} <= {it.strip() for it in given.split(";")}
    thief = world.visit()
    thief.cookies.set("portail", "fixed-by-an-attacker")
    assert thief.get("/").status_code == 303
    session = given.partition("portail=")[2].partition(";")[0]
    world_again = world.visit()
    world_again.cookies.set("portail", session)
    assert world_again.get("/").status_code == 200
    assert world_again.submit("/deconnexion").status_code == 303
    world_again.cookies.set("portail", session)
    assert world_again.get("/").status_code == 303, "what was left is left for every browser"


def test_every_page_but_those_for_everybody_wants_a_session(outsider: Visitor) -> None:
    for page in ("/", "/retrouver?q=x", "/supprimes", "/attaque", "/demandes", "/dossier/docs-a", "/session"):
        answer = outsider.get(page)
        assert (answer.status_code, answer.headers["location"]) == (303, "/connexion")
    assert outsider.get("/", headers={"HX-Request": "true"}).headers["hx-redirect"] == "/connexion"
    for page in ("/connexion", "/accessibilite", "/mentions", "/plan"):
        assert outsider.get(page).status_code == 200


def test_a_wrong_name_and_a_wrong_password_get_the_same_page(world: World, outsider: Visitor) -> None:
    def answer(name: str) -> tuple[int, str]:
        found = outsider.sign_in(name, "a wrong password here", code_of(world.people["regis"]))
        return found.status_code, re.sub(r'value="[^"]*"', "", found.text)

    assert answer("regis") == answer("nobody.at.all") == answer("x\x00y\udcff".encode(errors="replace").decode())


# What travels


@pytest.mark.parametrize(
    "address",
    [
        "/retrouver?q=" + "x" * 10_000,
        "/retrouver?q=" + "%22%27%3B--" * 20,
        "/retrouver?q=%00",
        "/retrouver?q=%ed%b2%80",
        "/retrouver?q=%ff%fe%00",
        '/retrouver?q=" OR 1=1 --',
        "/retrouver?q=NEAR(a b)",
        "/retrouver?q=a*^:{}",
        "/retrouver?" + "q=1&" * 3000,
        "/supprimes?page=-1",
        "/supprimes?page=99999999999999999999",
        "/supprimes?page=1e9",
        "/dossier/docs-a?jour=2026-99-99",
        "/dossier/docs-a?jour=0001-01-01",
        "/dossier/docs-a?jour=9999-12-31",
        "/dossier/docs-a?version=0",
        "/dossier/docs-a?version=999",
        "/langue/xx?retour=//elsewhere.example",
        "/langue/en?retour=/%0d%0aSet-Cookie:%20x=y",
    ],
    ids=lambda address: address[:40],
)
def test_odd_questions_get_a_plain_answer(marie: Visitor, address: str) -> None:
    answer = marie.get(address)
    assert answer.status_code in (200, 303, 400, 404)
    assert not FORBIDDEN_WORDS.search(answer.text)
    assert "elsewhere" not in answer.headers.get("location", "")
    assert "x" not in answer.cookies


def test_every_answer_says_what_a_browser_may_do_with_it(marie: Visitor, outsider: Visitor) -> None:
    for visitor, page in ((marie, "/"), (outsider, "/connexion"), (marie, "/nowhere"), (marie, "/statique/portal.js")):
        headers = visitor.get(page).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "same-origin"
        assert "server" not in headers
    assert marie.get("/").headers["cache-control"] == "no-store"


def test_another_name_than_ours_is_not_answered(world: World) -> None:
    for host in ("elsewhere.example", "elsewhere.example:80", "127.0.0.1.elsewhere.example", ""):
        answer = _raw(world, f"GET /connexion HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        assert answer.startswith(b"HTTP/1.1 400"), host


@pytest.mark.parametrize(
    "request_",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET " + b"/" * 100_000 + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + b"x" * 200_000 + b"\r\n\r\n",
        b"POST /connexion HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: -1\r\n\r\n",
        b"TRACE / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n",
    ],
    ids=["no host", "TLS", "long path", "long header", "length", "trace"],
)
def test_what_is_no_request_of_a_browser_is_refused_and_others_are_served(world: World, request_: bytes) -> None:
    answer = _raw(world, request_)
    assert answer == b"" or answer[:12] in (b"HTTP/1.1 400", b"HTTP/1.1 404", b"HTTP/1.1 405", b"HTTP/1.1 431")
    assert len(answer) < 10_000
    assert world.visit().get("/connexion").status_code == 200


def test_a_form_that_is_too_long_is_refused(world: World, outsider: Visitor) -> None:
    body = b"jeton=" + b"x" * (2 * 1024 * 1024)
    headers = {"Origin": world.address, "Content-Type": "application/x-www-form-urlencoded"}
    with contextlib.suppress(httpx.WriteError):  # it was answered before all of it was sent
        assert outsider.post("/connexion", content=body, headers=headers).status_code == 403
    assert outsider.get("/connexion").status_code == 200


# Downloads and the journal


def test_a_download_that_was_cut_goes_on_where_it_stopped(world: World, marie: Visitor) -> None:
    wish = f"docs-a monday {quote(world.archived('registre.csv'))}"
    order = marie.submit("/demandes", quoi=wish, action="copy").headers["location"]
    wait_until(lambda: "C&#39;est prêt" in marie.get(order).text, "it is ready")
    whole = marie.get(f"{order}/fichier")
    rest = marie.get(f"{order}/fichier", headers={"Range": "bytes=1000000-", "If-Range": whole.headers["etag"]})
    assert (rest.status_code, rest.content) == (206, whole.content[1_000_000:])
    assert rest.headers["content-range"] == f"bytes 1000000-{len(whole.content) - 1}/{len(whole.content)}"
    assert marie.get(f"{order}/fichier", headers={"Range": "bytes=99999999-"}).status_code == 416
    assert whole.headers["content-type"] == "application/octet-stream"
    assert whole.headers["content-disposition"].startswith("attachment")


def test_what_was_done_is_in_a_chain_that_a_command_verifies(world: World, marie: Visitor) -> None:
    wish = f"docs-a monday {quote(world.archived('Budget 2026.txt'))}"
    order = marie.submit("/demandes", quoi=wish, action="copy").headers["location"]
    wait_until(lambda: "C&#39;est prêt" in marie.get(order).text, "it is ready")
    wait_until(lambda: order.rpartition("/")[2].encode() in _told(world), "the worker told")
    marie.get("/retrouver?q=ordre du jour")
    marie.get(f"/fichier/docs-a?chemin={quote(world.archived('Conseil/2026/Ordre du jour.txt'))}")
    node = world.territory.nodes["commune-a"]
    verified = node.cli("portal", "journal", "verify")
    assert b"whole" in verified.stdout
    heads = [word for head in verified.stdout.split()[-2:] for word in ("--head", head.decode())]
    exported = node.cli("portal", "journal", "export", *heads).stdout
    assert b'"event": "searched", "account": "marie"' in exported
    assert b'"event": "saw-versions"' in exported
    assert b'"state": "ready"' in exported
    assert PASSWORD.encode() not in exported
    file = PortalPaths.of(node.layout).journal
    copy = file.with_name("changed.jsonl")
    copy.write_bytes(file.read_bytes().replace(b"ordre du jour", b"autre chose!!"))
    with pytest.raises(Exception, match="does not follow the one before"):
        ChainedJournal(copy, SystemClock()).verify()
    refused = node.cli("portal", "journal", "verify", *heads, "--head", "1" * 64, check=False)
    assert b"no line has the hash 1111" in refused.stderr


def test_what_the_journal_cannot_be_told_is_not_ordered(world: World, marie: Visitor) -> None:
    wish = f"docs-a monday {quote(world.archived('Budget 2026.txt'))}"
    orders = set(world.state.glob("portal/orders/*/*"))
    journal = PortalPaths.of(world.territory.nodes["commune-a"].layout).journal
    aside = journal.rename(journal.with_name("aside"))
    journal.symlink_to("/nowhere")
    try:
        for action in ("in-place", "copy", "folder"):
            assert marie.submit("/demandes", quoi=wish, action=action).status_code == 500
    finally:
        aside.rename(journal)
    assert set(world.state.glob("portal/orders/*/*")) == orders
    assert marie.submit("/demandes", quoi=wish, action="copy").status_code == 303


def test_who_is_disabled_is_out_at_the_next_page(world: World) -> None:
    paul = world.visit("paul")
    assert paul.get("/").status_code == 200
    store = world.territory.nodes["commune-a"].layout.accounts.parent / "of" / f"{OTHER}.json"
    kept = store.read_bytes()
    try:
        store.write_bytes(kept.replace(b'"disabled": false', b'"disabled": true'))
        assert paul.get("/").status_code == 303
    finally:
        store.write_bytes(kept)
        world.sessions.pop("paul", None)


def _said(answer: httpx.Response) -> str:
    """The page without the second it is of and the link to its other language, which says again what was asked."""
    return re.sub(r'<a id="langue".*?</a>| data-(ends|now)="\d+"', "", answer.text, flags=re.DOTALL)


def _told(world: World) -> bytes:
    """Return what the worker wrote into the journal."""
    lines = PortalPaths.of(world.territory.nodes["commune-a"].layout).worker_journal.read_bytes().splitlines()
    return b"".join(line for line in lines if b'"event": "ended"' in line)


def _raw(world: World, request: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", world.port), timeout=60) as connection:
        try:
            connection.sendall(request)
            connection.shutdown(socket.SHUT_WR)
            return connection.makefile("rb").read()
        except OSError:  # it was closed before all of it was sent
            return b""
