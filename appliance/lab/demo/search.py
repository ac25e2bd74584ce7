"""Look for somebody's plaintext, file names and keys on a disk where they must not be; and prove that the search
works.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from appliance.errors import ApplianceError
from appliance.host.command import run
from appliance.lab.story import Unknown

NAME_BYTES_MIN = 16
SAMPLE = re.compile(rb"[^\n\0]{32,64}")
SAMPLES_MAX = 500


@dataclass(frozen=True)
class Needles:
    """What to look for, as bytes without line breaks: contents of files, their names, secrets."""

    contents: tuple[bytes, ...]
    names: tuple[bytes, ...]
    secrets: tuple[bytes, ...]

    @property
    def all(self) -> tuple[bytes, ...]:
        return (*self.contents, *self.names, *self.secrets)


def needles_of(data: Path, secrets: Iterable[bytes], extra: Iterable[bytes] = ()) -> Needles:
    """Samples from the files below `data` (one each from up to 500 files), every distinctive name, and `secrets`."""
    names: set[bytes] = set()
    files: list[bytes] = []
    for folder, folders, found in os.walk(os.fsencode(data)):
        names.update(name for name in (*folders, *found) if len(name) >= NAME_BYTES_MIN and b"\n" not in name)
        files += [os.path.join(folder, name) for name in found]
    step = max(1, len(files) // SAMPLES_MAX)
    samples = {sample for path in sorted(files)[::step] if (sample := _sample(path))}
    lines = {line for secret in secrets for line in secret.split(b"\n") if len(line) >= NAME_BYTES_MIN}
    return Needles((*sorted(samples), *extra), tuple(sorted(names)), tuple(sorted(lines)))


def _sample(path: bytes) -> bytes:
    """32 to 64 bytes of a file that are not all alike, from its first 64 KiB."""
    try:
        if os.path.islink(path) or not os.path.isfile(path):
            return b""
        with open(path, "rb") as file:
            for match in SAMPLE.finditer(file.read(65536)):
                if len(set(match[0])) >= 12:
                    return match[0]
    except OSError:
        return b""
    return b""


def files_with(needles: Iterable[bytes], folder: Path) -> tuple[str, ...]:
    """The files below `folder` that contain a needle, or have one in their path."""
    wanted = tuple(needles)
    with tempfile.NamedTemporaryFile() as patterns:
        patterns.write(b"\n".join(wanted) + b"\n")
        patterns.flush()
        argv = ("grep", "-r", "-l", "-a", "-F", "-f", patterns.name, "--", str(folder))
        result = run(argv, timeout_seconds=300, env={"LC_ALL": "C"})
    if result.exit_code not in (0, 1):
        raise ApplianceError(f"grep failed: {result.tail()}")
    found = result.stdout.decode(errors="replace").splitlines()
    for path, folders, names in os.walk(os.fsencode(folder)):
        for name in (*folders, *names):
            if name in wanted:
                found.append(os.fsdecode(os.path.join(path, name)))
    return tuple(found)


def prove_search(needles: Needles, data: Path, keys: Path) -> None:
    """Raise Unknown unless the same search finds contents and names where they are known to be."""
    if not needles.contents or not needles.names:
        raise Unknown("the documents hold nothing distinctive to look for.")
    if not files_with(needles.contents, data) or not files_with(needles.secrets, keys):
        raise Unknown("the search does not even find the documents at their origin.")
