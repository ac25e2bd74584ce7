"""A download that is larger than memory, or has a name that nobody should give a file: it comes, and nothing else."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote, unquote

import pytest

from appliance.host.files import make_private_folder
from appliance.host.layout import RequestFolders
from appliance.restore.request import RequestFolder, Status, place_request, save_status
from appliance.units import GIB, MIB
from tests.integration.portal.world import NODE, Visitor, World
from tests.waiting import wait_until

type Offer = Callable[[str, bytes, int], str]
LARGE = 20 * GIB
END = b"the very last words of the file."
READ = 256 * MIB
GROWTH_MAX = 32 * MIB


@pytest.fixture
def marie(world: World) -> Visitor:
    return world.visit("marie")


@pytest.fixture
def offer(world: World, tmp_path: Path) -> Offer:
    """Offers marie a file of that name, which has `content` at its byte `start` and nothing before; its address.

    The order is made aside and comes whole, as the worker would leave it: it must not take it up itself.
    """

    def offered(name: str, content: bytes, start: int) -> str:
        share = world.archived()
        aside = RequestFolders(tmp_path / "pages", tmp_path / "work", "docs-a")
        request = place_request(
            aside,
            person="marie",
            service="docs-a",
            kind="download",
            archive="monday",
            moment_seconds=time.time(),
            paths=(f"{share}/Budget 2026.txt",),
            share=share,
            now=time.time(),
        )
        folder = RequestFolder(aside, request.id)
        make_private_folder(folder.result)
        with open(folder.result / name, "wb") as file:
            file.seek(start)
            file.write(content)
        save_status(folder, Status("ready", size=start + len(content), result=name))
        there = RequestFolder(world.territory.nodes[NODE].layout.requests("docs-a"), request.id)
        folder.file.write_bytes((folder.asked / "order.json").read_bytes())
        os.rename(folder.root, make_private_folder(there.requests.done) / request.id)
        os.rename(folder.asked, make_private_folder(there.requests.asked) / request.id)
        return f"/demandes/{request.id}"

    return offered


def memory(pid: int) -> tuple[int, int]:
    """Return the memory of the process now, and the most that it ever had since `forget`, in bytes."""
    told = Path(f"/proc/{pid}/status").read_text()
    now, most = (re.search(rf"^{name}:\s+(\d+) kB", told, re.MULTILINE) for name in ("VmRSS", "VmHWM"))
    assert now is not None
    assert most is not None
    return int(now[1]) * 1024, int(most[1]) * 1024


def forget(pid: int) -> None:
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def test_of_twenty_gigabytes_any_part_comes_and_memory_stays_as_it_was(
    world: World, marie: Visitor, offer: Offer
) -> None:
    order = offer("registre.tar", END, LARGE - len(END))
    pages = world.processes[0].pid
    assert "21,5\xa0Go" in marie.get(order).text
    forget(pages)
    before, _ = memory(pages)
    with world.visit("marie").stream("GET", f"{order}/fichier") as waiting, world.visit("marie") as reader:
        assert waiting.headers["content-length"] == str(LARGE)  # and its reader reads no further
        for asked in (f"bytes={LARGE - len(END)}-", f"bytes=-{len(END)}"):
            answer = marie.get(f"{order}/fichier", headers={"Range": asked})
            assert (answer.status_code, answer.content) == (206, END)
            assert answer.headers["content-range"] == f"bytes {LARGE - len(END)}-{LARGE - 1}/{LARGE}"
        assert marie.get(f"{order}/fichier", headers={"Range": f"bytes={LARGE}-"}).status_code == 416
        with reader.stream("GET", f"{order}/fichier", headers={"Range": f"bytes={LARGE - READ}-"}) as answer:
            assert sum(map(len, answer.iter_raw())) == READ
    _, most = memory(pages)
    assert most - before < GROWTH_MAX


def test_thousands_of_parts_of_a_file_are_not_sorted(marie: Visitor, offer: Offer) -> None:
    order = offer("parts.txt", b"x" * 100_000, 0)
    parts = ",".join(f"{number}-{number}" for number in range(10_000, 19_000, 2))
    answer = marie.get(f"{order}/fichier", headers={"Range": f"bytes={parts}"})
    assert (answer.status_code, len(answer.content)) == (200, 100_000)


NAMES = [
    'un "deux" trois.txt',
    "a\nX-Evil: 1\n.txt",
    "a\r\n\r\n<script>alert(1).txt",
    "facture \udcff\udce9.txt",
    "a; filename=b.exe",
    "%0d%0aX-Evil: 1",
    "gpj.\u202eexe",
    "\\\\server\\share",
]


@pytest.mark.parametrize("number", range(len(NAMES)))
def test_a_name_stays_one_name_in_the_header_and_on_the_page(marie: Visitor, offer: Offer, number: int) -> None:
    name = NAMES[number]
    order = offer(name, b"as it was", 0)
    answer = marie.get(f"{order}/fichier")
    assert (answer.status_code, answer.content) == (200, b"as it was")
    (disposition,) = answer.headers.get_list("content-disposition")
    said = re.fullmatch(r"attachment; filename\*=utf-8''([A-Za-z0-9_.~%-]+)", disposition)
    assert said, disposition
    assert unquote(said[1]) == os.fsencode(name).decode("utf-8", "replace")
    assert "x-evil" not in answer.headers
    assert answer.headers["content-type"] == "application/octet-stream"
    page = marie.get(order)
    assert page.status_code == 200
    assert "<script>alert" not in page.text
    assert "\u202e" not in page.text


@pytest.mark.parametrize("path", ["%00", "a%00b", "%ff%00", "..%00"])
def test_a_name_that_no_file_has_is_not_ordered(world: World, marie: Visitor, path: str) -> None:
    wish = f"docs-a monday {quote(world.archived())}/{path}"
    for action in ("copy", "in-place"):
        assert marie.submit("/demandes", quoi=wish, action=action).status_code == 404


def test_the_list_of_orders_says_what_each_one_was_for(world: World, marie: Visitor) -> None:
    wish = f"docs-a wednesday {quote(world.archived('Budget 2026.txt'))}"
    order = marie.submit("/demandes", quoi=wish, action="copy").headers["location"]
    row = marie.get("/demandes").text.partition(order)[2].partition("</th>")[0]
    assert "Budget 2026.txt" in row
    assert "Enregistrer une copie" in row


@pytest.mark.parametrize("path", ["a%0ab", 'a"b', "%ed%b2%80", "-x"])
def test_a_name_that_no_file_of_hers_has_is_answered_by_a_sentence(world: World, marie: Visitor, path: str) -> None:
    wish = f"docs-a monday {quote(world.archived())}/{path}"
    order = marie.submit("/demandes", quoi=wish, action="copy").headers["location"]
    wait_until(lambda: "Rien n&#39;a été perdu" in marie.get(order).text, "it says that it failed")
