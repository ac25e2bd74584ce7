"""Somebody at a PC of a town hall, at the pages of a node. Prints JSON.

    ip netns exec SITE python3 -m tests.integration.lab.visit NAME ADDRESS ROOT.pem PERSON WORDS [PATH] <password, code

NAME is what the browser asks for and what the certificate must say; ADDRESS is where the site's DNS would send it. Who
signed in looks at the page PATH until it says WORDS; without one, finds a file by WORDS that was deleted, and saves a
copy of it.
"""

from __future__ import annotations

import json
import re
import socket
import ssl
import sys
import time
from html import unescape
from urllib.parse import quote

from tests.integration.portal.world import Visitor
from tests.pace import LONG

WAIT_SECONDS = LONG * 90.0


def visit(
    name: str, address: str, root: str, person: str, words: str, path: str, password: str, code: str
) -> dict[str, object]:
    known = socket.getaddrinfo
    socket.getaddrinfo = lambda host, *rest, **more: known(address, *rest, **more)  # type: ignore[assignment]
    with Visitor(f"https://{name}", verify=ssl.create_default_context(cafile=root)) as browser:
        signed_in = browser.sign_in(person, password, code).status_code
        if signed_in != 303:
            return {"signed_in": signed_in}
        seen = {"page": until(browser, path, words)} if path else found(browser, words)
        return {"signed_in": signed_in, **seen}


def found(browser: Visitor, words: str) -> dict[str, str]:
    home = until(browser, "/", "En sécurité.")
    page = until(browser, f"/retrouver?q={quote(words)}", "(supprimé)")
    link = re.search(r'href="(/fichier/[^"]*)"', page)
    versions = browser.get(link[1]).text if link else ""
    wish = re.search(r'name="quoi" value="([^"]*)"', versions)
    saved = saved_by(browser, unescape(wish[1])) if wish else ""
    return {"home": home, "page": page, "versions": versions, "saved": saved, "drawn": drawn(browser, "plan.pdf")}


def drawn(browser: Visitor, words: str) -> str:
    """The page that shows the newest version of the file that is found by `words`."""
    link = re.search(r'href="(/fichier/[^"]*)"', unescape(browser.get(f"/retrouver?q={quote(words)}").text))
    wish = re.search(r'name="quoi" value="([^"]*)"', browser.get(link[1]).text) if link else None
    shown = browser.submit("/voir", quoi=unescape(wish[1])).headers["location"] if wish else ""
    return until(browser, shown, "data:image/png") if shown else ""


def until(browser: Visitor, address: str, words: str) -> str:
    """The page at `address` once it says `words`, and at the end whatever it says: the worker looks each minute."""
    end = time.monotonic() + WAIT_SECONDS
    while words not in (text := unescape(browser.get(address).text)) and time.monotonic() < end:
        time.sleep(0.5)
    return text


def saved_by(browser: Visitor, wish: str) -> str:
    order = browser.submit("/demandes", quoi=wish, action="copy").headers["location"]
    until(browser, order, "C'est prêt")
    return browser.get(f"{order}/fichier").text


if __name__ == "__main__":
    secret, code = sys.stdin.read().splitlines()
    name, address, root, person, words, *path = sys.argv[1:]
    print(json.dumps(visit(name, address, root, person, words, "".join(path), secret, code)))
