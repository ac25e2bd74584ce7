"""A PC of a town hall, by smbclient: what somebody who typed a name and a password can do at a share, and cannot."""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from appliance.errors import ApplianceError
from appliance.host.command import Result, run
from appliance.secret import Secret

SECONDS_MAX = 300.0
NO_PASSWORD = Secret(b"")
_STATUS = re.compile(r"NT_STATUS_\w+")
# The server names every version of the share, those too that are older than what is asked for.
_ABSENT = re.compile(r"^pathinfo\((@GMT[^\\]+)\\.*\) failed: NT_STATUS_OBJECT_(?:NAME|PATH)_NOT_FOUND$", re.MULTILINE)


@dataclass(frozen=True)
class Pc:
    """`inside` begins the command line that runs something where the PC is; `name` "" is a guest."""

    inside: Sequence[str]
    server: str
    name: str = ""
    password: Secret = NO_PASSWORD
    options: tuple[str, ...] = ()

    def ask(self, share: str, *commands: str) -> Result:
        """Return the answer of smbclient to `commands` at `share`."""
        with self._typed() as who:
            words = ("smbclient", f"//{self.server}/{share}", *who, *self.options, "--command", "; ".join(commands))
            return run((*self.inside, *words), timeout_seconds=SECONDS_MAX)

    def did(self, share: str, *commands: str) -> str:
        """The same when they must go through; raise ApplianceError with what was said otherwise."""
        result = self.ask(share, *commands)
        text = (result.stdout + result.stderr).decode(errors="replace")
        if result.exit_code != 0 or _STATUS.search(_ABSENT.sub("", text)):
            raise ApplianceError(f"{self.name or 'a guest'} at {share}: {'; '.join(commands)}: {text.strip()}")
        return text

    def refusal(self, share: str, *commands: str) -> str:
        """The status that the server refuses `commands` with; "" when they went through."""
        result = self.ask(share, *commands)
        found = _STATUS.findall((result.stdout + result.stderr).decode(errors="replace"))
        return found[0] if found else ""

    def put(self, share: str, path: str, text: str) -> None:
        """Write `text` into the file `path` of `share`."""
        with tempfile.NamedTemporaryFile("w") as file:
            file.write(text)
            file.flush()
            self.did(share, f'put "{file.name}" "{path}"')

    def get(self, share: str, path: str) -> str:
        """Return the content of the file `path` of `share`, which may begin with the name of a previous version."""
        with tempfile.TemporaryDirectory() as folder:
            self.did(share, f'get "{path}" "{folder}/got"')
            return Path(folder, "got").read_text()

    def versions(self, share: str, path: str) -> list[str]:
        """The names of the previous versions in which `path` was there: the newest first."""
        return read_versions(self.did(share, f'allinfo "{path}"'))

    @contextmanager
    def staying(self, share: str) -> Iterator[subprocess.Popen[bytes]]:
        """A session at `share` that stays open and does what comes to its input."""
        with self._typed() as who:
            words = (*self.inside, "smbclient", f"//{self.server}/{share}", *who, *self.options)
            pipe = subprocess.PIPE
            with subprocess.Popen(words, stdin=pipe, stdout=pipe, stderr=subprocess.STDOUT) as process:
                try:
                    yield process
                finally:
                    process.kill()

    @contextmanager
    def _typed(self) -> Iterator[tuple[str, ...]]:
        """The words that say who it is: a password is in no command line."""
        if not self.name:
            yield ("--no-pass",)
            return
        with tempfile.NamedTemporaryFile("wb") as file:
            file.write(f"username={self.name}\npassword=".encode() + self.password.reveal() + b"\n")
            file.flush()
            yield ("--authentication-file", file.name)


def read_versions(told: str) -> list[str]:
    """The names of the previous versions that smbclient's `allinfo` tells of and finds, in its order."""
    absent = set(_ABSENT.findall(told))
    return [it for it in re.findall(r"^@GMT\S+", told, re.MULTILINE) if it not in absent]
