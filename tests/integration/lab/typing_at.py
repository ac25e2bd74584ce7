"""A person at a terminal: a line is typed in a shell, and what it asks is answered."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import select
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

type Answer = str | Callable[[re.Match[str]], str]


class Terminal:
    """`answers`: what is typed when the end of what is shown matches a pattern."""

    def __init__(
        self, argv: Sequence[str], folder: Path, environment: Mapping[str, str], answers: Mapping[str, Answer]
    ) -> None:
        self._answers = {re.compile(pattern): answer for pattern, answer in answers.items()}
        self._terminal, end = pty.openpty()
        argv = ("setsid", "--ctty", "--wait", *argv)
        self._shell = subprocess.Popen(argv, stdin=end, stdout=end, stderr=end, cwd=folder, env=environment)
        os.close(end)
        self._shown = ""
        self._answered = 0
        self.exit_code = -1

    def to_its_end(self, seconds_max: float) -> str:
        """All that is shown until the line has ended; fail when it does not end in time."""
        deadline = time.monotonic() + seconds_max
        with contextlib.suppress(OSError):  # how Linux says that the other end of a terminal is closed
            while True:
                left = deadline - time.monotonic()
                if left <= 0 or not select.select([self._terminal], [], [], left)[0]:
                    self._shell.kill()
                    raise AssertionError(f"it did not end in {seconds_max:.0f} s: {self._shown[-2000:]}")
                self._shown += os.read(self._terminal, 65536).decode("utf-8", "replace").replace("\r", "")
                self._answer()
        self.exit_code = self._shell.wait()  # before the terminal goes, which would hang up on what is still ending
        os.close(self._terminal)
        return self._shown

    def _answer(self) -> None:
        """Answer what is asked last, once."""
        for pattern, answer in self._answers.items():
            if asked := pattern.search(self._shown, self._answered):
                self._answered = len(self._shown)
                said = answer if isinstance(answer, str) else answer(asked)
                os.write(self._terminal, said.encode() + b"\n")
                return
