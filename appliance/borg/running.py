"""Start borg 1.4 on one repository of this machine, with its locks, its secrets and a home of its own.

It decodes what other nodes wrote, so each borg is confined to what its verb needs (`reach.py`).
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from pathlib import Path

from appliance.borg import answers, argv, errors, locks
from appliance.borg.contents import Examination
from appliance.borg.model import Progress, Repository
from appliance.borg.reach import reach
from appliance.errors import Refused
from appliance.host.command import Result, Start, run, stream
from appliance.host.confined import start_confined
from appliance.host.files import make_private_folder
from appliance.secret import Secret
from appliance.units import DAY, HOUR

READ_TIMEOUT_SECONDS = 12 * HOUR
WRITE_TIMEOUT_SECONDS = 7 * DAY
LOCK_TURN_SECONDS = 10
"""How long one borg waits for a lock: who holds it may die meanwhile, and only a new start finds that out."""
ROOM = "run-"


class Running:
    """The part of `borg.client.Borg` that runs each of its verbs."""

    def __init__(
        self,
        repository: Repository,
        on_progress: Callable[[Progress], None] | None = None,
        *,
        lock_wait_seconds: int = 20,
    ) -> None:
        self.repository = repository
        self._on_progress = on_progress
        self._lock_wait_seconds = lock_wait_seconds
        self._examined: dict[tuple[str, tuple[str, ...], bool], Examination] = {}

    def _read(self, words: tuple[str, ...], *, cwd: Path | None = None, warnings_allowed: bool = False) -> Result:
        result = self._run(words, READ_TIMEOUT_SECONDS, cwd=cwd)
        self._raise_on_failure(result, warnings_allowed)
        return result

    def _write(
        self,
        words: tuple[str, ...],
        *,
        cwd: Path | None = None,
        warnings_allowed: bool = False,
        timeout_seconds: float = WRITE_TIMEOUT_SECONDS,
    ) -> Result:
        if self.repository.bypass_lock:
            raise Refused("this copy was opened for reading only.", where=str(self.repository.path))
        result = self._run(words, timeout_seconds, cwd=cwd)
        self._raise_on_failure(result, warnings_allowed)
        return result

    def _run(self, words: tuple[str, ...], timeout_seconds: float, *, cwd: Path | None = None) -> Result:
        left = self._lock_wait_seconds
        while True:
            turn = min(left, LOCK_TURN_SECONDS)
            left -= turn
            with self._room() as room:
                result = run(
                    (*self._start(words[0], turn), *words),
                    timeout_seconds=timeout_seconds,
                    env=self._environment(room),
                    cwd=cwd,
                    secret_fds=self._secrets(),
                    on_stderr_line=self._report if self._on_progress else None,
                    begin=self._confined(words, cwd),
                )
            if left <= 0 or result.exit_code != errors.LOCK_TIMEOUT:
                return result

    def _lines(self, words: tuple[str, ...], end: bytes = b"\n") -> contextlib.closing[Generator[bytes, None, Result]]:
        return contextlib.closing(answers.lines(self._stream(words), end))

    def _stream(self, words: tuple[str, ...]) -> Generator[bytes, None, Result]:
        """Standard output in pieces; a failure is raised at its end."""
        with self._room() as room:
            result = yield from stream(
                (*self._start(words[0], self._lock_wait_seconds), *words),
                timeout_seconds=READ_TIMEOUT_SECONDS,
                env=self._environment(room),
                secret_fds=self._secrets(),
                begin=self._confined(words, None),
            )
        self._raise_on_failure(result, warnings_allowed=False)
        return result

    def _start(self, verb: str, lock_seconds: int) -> tuple[str, ...]:
        if argv.takes_lock(self.repository, verb):
            locks.clear_dead(self.repository)
        progress = self._on_progress is not None
        return argv.start(self.repository, verb, lock_wait_seconds=lock_seconds, progress=progress)

    def _confined(self, words: tuple[str, ...], cwd: Path | None) -> Callable[[Start], subprocess.Popen[bytes]]:
        program = shutil.which("borg")
        reached = reach(self.repository, words, cwd, program and os.path.realpath(program))
        return lambda start: start_confined(reached, start)

    def _environment(self, room: str) -> dict[str, str]:
        return {**argv.environment(self.repository, locks.new_host_id()), "TMPDIR": room, "HOME": room}

    @contextlib.contextmanager
    def _room(self) -> Iterator[str]:
        """A folder for borg's temporary files, gone when it has ended: it tests itself at each start with files in
        /tmp, and would leave there those of a test that is cut. It is borg's home too, so that no file of the account's
        own, such as a Python module, is read by it."""
        base = make_private_folder(self.repository.base)
        for left in base.glob(f"{ROOM}*"):  # by one that was killed with us
            with contextlib.suppress(FileNotFoundError):
                if time.time() - left.stat().st_mtime > DAY:
                    shutil.rmtree(left, ignore_errors=True)
        with tempfile.TemporaryDirectory(prefix=ROOM, dir=base, ignore_cleanup_errors=True) as folder:
            yield folder

    def _secrets(self) -> Mapping[str, Secret]:
        passphrase = self.repository.passphrase
        return {} if passphrase is None else {"BORG_PASSPHRASE_FD": passphrase}

    def _report(self, line: str) -> None:
        progress = answers.progress(line)
        if progress is not None and self._on_progress is not None:
            self._on_progress(progress)

    def _raise_on_failure(self, result: Result, warnings_allowed: bool) -> None:
        code = result.exit_code
        if code == 0 or (warnings_allowed and code in errors.WARNING_CODES):
            return
        error = errors.error_of(result, str(self.repository.path))
        if isinstance(error, errors.RepositoryLocked):
            error.what = locks.name_holders(self.repository) or error.what
        raise error
