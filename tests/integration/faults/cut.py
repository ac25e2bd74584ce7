"""A process that is killed at the K-th thing it does to a disk: the moments a power cut leaves something half done.

    python3 cut.py K COUNT backup STATE SERVICE     one run of ours, in this process
    python3 cut.py K COUNT tidy STATE SERVICE       forget and compact, in this process
    python3 cut.py K COUNT adopt STATE SERVICE GRANT
    python3 cut.py K COUNT takeover STATE SERVICE   adopt under the grant that waits, and lay the files
    python3 cut.py K COUNT borg WORDS...            borg itself, which is Python too

Each call of CALLS counts one; before the K-th is done, SIGKILL. With K = 0 nothing is killed. With K:FILLER the disk is
filled with the file FILLER instead. How many calls there were is written to the file COUNT; by borg, which may write
only its own files, as the time of that file, in seconds.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import runpy
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

CALLS = ("rename", "replace", "link", "symlink", "unlink", "remove", "rmdir", "mkdir", "fsync", "fdatasync", "truncate")


class Killer:
    def __init__(self, last: str) -> None:
        number, _, filler = last.partition(":")
        self.last = int(number)
        self.filler = filler
        self.done = 0

    def watch(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def watched(*words: Any, **options: Any) -> Any:
            self.done += 1
            if self.done == self.last and self.filler:
                fill(Path(self.filler))
            elif self.done == self.last:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*words, **options)

        return watched


def fill(path: Path) -> None:
    """Take all the room that is left on the disk of `path`."""
    with contextlib.suppress(OSError), open(path, "wb", buffering=0) as file:
        for size in (1 << 20, 1):
            while file.write(bytes(size)):
                pass


def arm(last: str, tell: Callable[[int], object]) -> None:
    """Count from now on; what is imported later sees the watched calls only."""
    killer = Killer(last)
    for name in CALLS:
        setattr(os, name, killer.watch(getattr(os, name)))
    atexit.register(lambda: tell(killer.done))


def main() -> None:
    last, count, action, *words = sys.argv[1:]
    if action == "borg":
        arm(last, lambda calls: os.utime(count, (calls, calls)))
        program, *words = words
        sys.argv = [program, *words]
        runpy.run_path(program, run_name="__main__")
        return
    from appliance.node.handle import open_node

    def tell(calls: int) -> None:
        Path(count).write_text(str(calls))

    node = open_node(Path(words[0]))
    if action in ("backup", "tidy"):
        from appliance.backup.writer import writer

        arm(last, tell)
        {"backup": writer.run, "tidy": writer.prune}[action](node, words[1])
    elif action == "takeover":
        from appliance.backup.peers.conversation import Lines
        from appliance.failover import takeover_worker

        with Lines(node) as lines:
            arm(last, tell)
            takeover_worker.adopt(node, words[1], '{"keep": false, "generation": "", "required": ""}', lines)
    else:
        from appliance.backup.chain.resync import continue_under
        from appliance.backup.peers.fetched import load_fetched
        from appliance.backup.peers.fetched_key import staging
        from appliance.backup.peers.openable import key_of

        sealed = load_fetched(node, words[1])
        key = key_of(node, words[1], staging(node, words[1]), None)
        arm(last, tell)
        continue_under(node, words[1], sealed, Path(words[2]).read_bytes(), key)


if __name__ == "__main__":
    try:
        main()
    except Exception as error:
        from appliance.cli.failure import report

        sys.exit(report(error, sys.argv))
