"""One person who asks without end keeps nobody else waiting and fills no disk."""

from __future__ import annotations

import contextlib
import html
import os
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from appliance.portal.requesting import WAITING_MAX
from appliance.restore.request import place_request
from tests.integration.portal.world import NODE, World


@contextlib.contextmanager
def stopped_worker(world: World) -> Iterator[None]:
    """Stop the worker: requests made meanwhile wait."""
    pages = world.processes[0].pid
    [worker] = map(int, Path(f"/proc/{pages}/task/{pages}/children").read_text().split())
    os.kill(worker, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(worker, signal.SIGCONT)


def test_who_asks_without_end_is_told_to_wait_and_others_are_heard(world: World) -> None:
    """Each is a file that waits for the worker: a browser that was broken into could fill the disk with them."""
    path = world.archived("Budget 2026.txt")
    requests = world.territory.nodes[NODE].layout.service("docs-a").requests
    asked = {"service": "docs-a", "kind": "download", "archive": "wednesday", "moment_seconds": 0.0, "paths": (path,)}
    with stopped_worker(world), contextlib.ExitStack() as stack:
        for _ in range(WAITING_MAX):
            made = place_request(requests, person="marie", share=path.rpartition("/")[0], now=time.time(), **asked)
            stack.callback(shutil.rmtree, requests.asked / made.id)
        answer = world.visit("marie").submit("/demandes", quoi=f"docs-a wednesday {quote(path)}", action="copy")
        assert answer.status_code == 429
        assert "Beaucoup de vos demandes attendent déjà" in html.unescape(answer.text)
        other = world.visit("regis").submit("/demandes", quoi=f"docs-a wednesday {quote(path)}", action="copy")
        assert other.status_code == 303
