"""Run a command: argv tuples, a timeout, secrets by file descriptor, a typed result.

No shell ever, no secret in argv or in the environment (both can be read in /proc by the same user, and are logged).
"""

from __future__ import annotations

import contextlib
import os
import selectors
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from appliance.errors import ApplianceError, NoSpace, NotFound
from appliance.secret import Secret
from appliance.units import HOUR

READ_SIZE = 65536
GRACE_SECONDS = 5.0
COPY_SECONDS_MAX = 4 * HOUR
"""For all files of a service, or a dump, from one folder to another."""
UNREAD_SECONDS = 1.0
"""In which most programs end whose pipes were closed: a borg that is killed in the middle of that leaves its locks."""
DISK_FULL = tuple(
    words.encode() for words in ("No space left on device", "Aucun espace disponible", "Disk quota exceeded")
)
NO_USER_SITE = {"PYTHONNOUSERSITE": "1"}
"""No program in Python (borg, our own workers) loads code from its account's home, where restored files may lie."""
Start = Callable[[], "subprocess.Popen[bytes]"]
SAFE_ENVIRONMENT = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "USER", "LOGNAME")


@dataclass(frozen=True)
class Result:
    """How a command ended; `exit_code` is negative for a signal."""

    argv: tuple[str, ...]
    exit_code: int
    stdout: bytes
    stderr: bytes
    seconds: float

    def tail(self, lines: int = 3) -> str:
        """The last lines of standard error, for an error sentence."""
        text = self.stderr.decode(errors="replace").strip().splitlines()
        return " / ".join(line.strip() for line in text[-lines:])

    @property
    def found_disk_full(self) -> bool:
        """Whether it says so, in a language of our town halls."""
        return any(words in self.stderr for words in DISK_FULL)


class CommandFailed(ApplianceError):
    """A command ended otherwise than it should; adapters turn it into a named error."""

    def __init__(self, result: Result) -> None:
        super().__init__(f"{result.argv[0]} exited with {result.exit_code}: {result.tail() or 'no message'}")
        self.result = result


class CommandOutOfSpace(CommandFailed, NoSpace):
    """It ended so because a disk was full, as its messages say."""

    def __init__(self, result: Result) -> None:
        super().__init__(result)
        self.what = f"the disk is full ({result.argv[0]})."
        self.remedy = "Free space there, then run the command again."


class CommandTimeout(ApplianceError):
    exit_code = 7


def run(
    argv: Sequence[str],
    *,
    timeout_seconds: float,
    env: Mapping[str, str] | None = None,
    cwd: str | os.PathLike[str] | None = None,
    stdin: bytes | None = None,
    secret_fds: Mapping[str, Secret] | None = None,
    on_stderr_line: Callable[[str], None] | None = None,
    check: bool = False,
    begin: Callable[[Start], subprocess.Popen[bytes]] = lambda start: start(),
) -> Result:
    """Run `argv` to its end and return its Result.

    `env` is added to a small safe environment. `secret_fds` maps an environment variable (BORG_PASSPHRASE_FD) or
    an argv placeholder "{NAME}" to a secret, which the child reads from an inherited pipe.
    `on_stderr_line` gets each line of standard error while the command runs (progress); the lines are kept too.
    `begin` calls what it is given where the command is to be started (`confined.start_confined`).
    Raise NotFound when the program is missing, CommandTimeout past `timeout_seconds`, CommandFailed when `check`.
    """
    started = time.monotonic()
    process = _start(argv, env, cwd, stdin is not None, secret_fds, begin)
    stderr: list[bytes] = []
    stdout = b"".join(_talk(process, stdin or b"", timeout_seconds, stderr, on_stderr_line))
    result = Result(_words(process), process.returncode, stdout, b"".join(stderr), time.monotonic() - started)
    if check and result.exit_code != 0:
        raise CommandOutOfSpace(result) if result.found_disk_full else CommandFailed(result)
    return result


def stream(
    argv: Sequence[str],
    *,
    timeout_seconds: float,
    env: Mapping[str, str] | None = None,
    cwd: str | os.PathLike[str] | None = None,
    secret_fds: Mapping[str, Secret] | None = None,
    on_stderr_line: Callable[[str], None] | None = None,
    begin: Callable[[Start], subprocess.Popen[bytes]] = lambda start: start(),
) -> Generator[bytes, None, Result]:
    """Run `argv`, yield its standard output in pieces of at most 64 KiB as they come, return its Result (stdout empty).

    For outputs that may be larger than memory. Arguments and errors are those of `run`; the timeout includes the time
    the caller takes. When the caller stops early and closes the generator, the process is ended.
    """
    started = time.monotonic()
    process = _start(argv, env, cwd, False, secret_fds, begin)
    stderr: list[bytes] = []
    yield from _talk(process, b"", timeout_seconds, stderr, on_stderr_line)
    return Result(_words(process), process.returncode, b"", b"".join(stderr), time.monotonic() - started)


def _start(
    argv: Sequence[str],
    env: Mapping[str, str] | None,
    cwd: str | os.PathLike[str] | None,
    with_stdin: bool,
    secret_fds: Mapping[str, Secret] | None,
    begin: Callable[[Start], subprocess.Popen[bytes]],
) -> subprocess.Popen[bytes]:
    """Start `argv`. Our ends of the secret pipes are closed at once: the child has inherited its own."""
    with _secret_pipes(secret_fds or {}) as fds:
        numbers = {name: str(fd) for name, fd in fds.items()}
        words = tuple(_fill(word, numbers) for word in argv)
        environment = {name: os.environ[name] for name in SAFE_ENVIRONMENT if name in os.environ}
        environment.update(NO_USER_SITE)
        environment.update({name: fd for name, fd in numbers.items() if name.endswith("_FD")}, **(env or {}))
        try:
            return begin(
                lambda: subprocess.Popen(
                    words,
                    stdin=subprocess.PIPE if with_stdin else subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    cwd=cwd,
                    env=environment,
                    pass_fds=tuple(fds.values()),
                )
            )
        except (FileNotFoundError, PermissionError) as error:
            # A folder of PATH that we may not enter turns "not there" into "permission denied".
            if isinstance(error, PermissionError) and ("/" in words[0] or shutil.which(words[0])):
                raise
            raise _missing(words[0], cwd) from error


def _words(process: subprocess.Popen[bytes]) -> tuple[str, ...]:
    assert isinstance(process.args, tuple)
    return process.args


def _end(process: subprocess.Popen[bytes]) -> None:
    """Leave nothing behind: no process, no pipe. It is asked first, so that a borg gives its locks back."""
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(UNREAD_SECONDS)
    if process.poll() is None:
        # Not a group of their own: a signal to this process's group, by Ctrl-C or a service manager, must reach them
        # too.
        children = descendants(process.pid)
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(GRACE_SECONDS)
        process.kill()
        for pid in children:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        process.wait()


def _too_long(process: subprocess.Popen[bytes], timeout_seconds: float) -> CommandTimeout:
    below = ", ".join(filter(None, map(_program, descendants(process.pid))))
    waits = f"; still running below it: {below}" if below else ""
    return CommandTimeout(f"{_words(process)!r} did not end within {timeout_seconds:.0f} s{waits}.")


def _program(pid: int) -> str:
    """The name of the program that runs there; "" once it has ended."""
    try:
        return Path(f"/proc/{pid}/comm").read_text(errors="replace").strip()
    except OSError:
        return ""


def _missing(program: str, cwd: str | os.PathLike[str] | None) -> NotFound:
    if cwd is not None and not os.path.isdir(cwd):
        return NotFound(f"the folder {os.fspath(cwd)!r} does not exist.")
    return NotFound(f"the program {program!r} is not installed.", remedy="Run `make setup`.")


def _fill(word: str, numbers: Mapping[str, str]) -> str:
    for name, number in numbers.items():
        word = word.replace("{" + name + "}", number)
    return word


@contextlib.contextmanager
def _secret_pipes(secrets: Mapping[str, Secret]) -> Iterator[dict[str, int]]:
    """A readable descriptor per secret. A pipe holds 64 KiB, far more than any key or passphrase of ours."""
    fds: dict[str, int] = {}
    try:
        for name, secret in secrets.items():
            reader, writer = os.pipe()
            fds[name] = reader
            with os.fdopen(writer, "wb") as pipe:
                pipe.write(secret.reveal())
        yield fds
    finally:
        for reader in fds.values():
            os.close(reader)


def descendants(pid: int) -> list[int]:
    """The children of `pid`, theirs and so on: borg's ssh or a shell's program would go on holding our pipes."""
    children: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            children += map(int, task.read_text().split())
    return [descendant for child in children for descendant in (child, *descendants(child))]


def _talk(
    process: subprocess.Popen[bytes],
    stdin: bytes,
    timeout_seconds: float,
    stderr: list[bytes],
    on_stderr_line: Callable[[str], None] | None,
) -> Iterator[bytes]:
    """Give `stdin`, yield stdout as it comes, collect `stderr`; however it ends, the process has ended too."""
    deadline = time.monotonic() + timeout_seconds
    pending = b""
    try:
        for source, data in _pump(process, stdin, deadline):
            if source is process.stdout:
                yield data
                continue
            stderr.append(data)
            if on_stderr_line is not None:
                *lines, pending = (pending + data).split(b"\n")
                for line in lines:
                    on_stderr_line(line.decode(errors="replace"))
        process.wait(max(0.1, deadline - time.monotonic()))
    except subprocess.TimeoutExpired as error:
        raise _too_long(process, timeout_seconds) from error
    finally:
        _end(process)
    if pending and on_stderr_line is not None:
        on_stderr_line(pending.decode(errors="replace"))


def _pump(process: subprocess.Popen[bytes], stdin: bytes, deadline: float) -> Iterator[tuple[IO[bytes], bytes]]:
    """Serve the pipes as they are ready, so that none can fill and stop the child; yield what comes and from where."""
    with selectors.DefaultSelector() as selector:
        for source in (process.stdout, process.stderr):
            assert source is not None
            selector.register(source, selectors.EVENT_READ)
        if process.stdin is not None:
            os.set_blocking(process.stdin.fileno(), False)
            selector.register(process.stdin, selectors.EVENT_WRITE)
        rest = memoryview(stdin)
        while selector.get_map():
            left = deadline - time.monotonic()
            if left <= 0:
                raise subprocess.TimeoutExpired(process.args, left)
            for key, _ in selector.select(left):
                pipe = cast("IO[bytes]", key.fileobj)
                if pipe is process.stdin:
                    rest = rest[_give(key.fd, rest) :]
                    finished = not rest
                else:
                    data = os.read(key.fd, READ_SIZE)
                    finished = not data
                    if data:
                        yield pipe, data
                if finished:
                    selector.unregister(pipe)
                    pipe.close()


def _give(fd: int, data: memoryview) -> int:
    """How many bytes of `data` need no more care: written, or not wanted by a program that closed its input."""
    try:
        return os.write(fd, data[:READ_SIZE])
    except BlockingIOError:
        return 0
    except BrokenPipeError:
        return len(data)
