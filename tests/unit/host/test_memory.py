"""Freed memory goes back to the machine, whichever thread had it, and however much of it there was at once."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import threading
from appliance.host.memory import give_back, share_one_heap
from appliance_lab.bench.measure import status_bytes
import os

def kept():
    return status_bytes(os.getpid(), "RssAnon") // 1024**2

def work(turns):
    mine = [bytearray(8000) for _ in range(2000)]
    turns.wait()
    turns.wait()
    if threading.current_thread().name == "last":
        between.append(mine[::200])

share_one_heap()
before, between = kept(), []
turns = threading.Barrier(9)
threads = [threading.Thread(target=work, args=(turns,), name=name) for name in ["one"] * 7 + ["last"]]
for thread in threads:
    thread.start()
turns.wait()
peak = kept()
turns.wait()
for thread in threads:
    thread.join()
give_back()
print(before, peak, kept())
"""


def test_what_eight_threads_freed_is_given_back_although_some_between_is_in_use() -> None:
    words = (sys.executable, "-c", PROGRAM)
    before, peak, after = map(int, subprocess.run(words, capture_output=True, check=True, timeout=60).stdout.split())
    assert peak - before > 100
    assert after - before < 10
