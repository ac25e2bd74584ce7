"""Look for somebody's plaintext, file names and keys on a disk where they must not be; and prove that the search
works.
"""

from __future__ import annotations

import os
import re
import stat
import tempfile
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import batched
from pathlib import Path

from appliance.errors import ApplianceError
from appliance.host.command import Result, run
from appliance.units import GIB, HOUR, format_count
from appliance_lab.story import Unknown

NAME_BYTES_MIN = 16
FILE_BYTES_MAX = GIB
"""grep keeps a line in memory, and one of a file of zeros is as long as the file: of longer ones no piece is taken."""
BATCH = 100
SAMPLE = re.compile(rb"[^\n\0]{32,64}")
SAMPLES_MAX = 500
GREP_SECONDS_MAX = HOUR  # for repositories of somebody's own documents, which may be large


@dataclass(frozen=True)
class Needles:
    """The texts to look for, as bytes without line breaks: contents of files, their names, secrets.

    `paper` are secrets that were on no disk, so that no search for them at the origin proves anything. `places` are the
    files from which contents came.
    """

    contents: tuple[bytes, ...]
    names: tuple[bytes, ...]
    secrets: tuple[bytes, ...]
    paper: tuple[bytes, ...]
    places: tuple[bytes, ...] = ()

    @property
    def all(self) -> tuple[bytes, ...]:
        return (*self.contents, *self.names, *self.secrets, *self.paper)

    def without(self, known: Collection[bytes]) -> Needles:
        """Those contents and names that are not `known`."""
        contents, names = (tuple(it for it in them if it not in known) for them in (self.contents, self.names))
        return replace(self, contents=contents, names=names)

    def not_of(self, service: str) -> Needles:
        """Without names such as `docs-a.exchanged`: every node calls files of its own so."""
        return replace(self, names=tuple(it for it in self.names if not it.startswith(f"{service}.".encode())))

    def with_(self, other: Needles) -> Needles:
        """These, and the contents and names of `other`."""
        return replace(self, contents=(*self.contents, *other.contents), names=(*self.names, *other.names))


def needles_of(data: Path, secrets: Iterable[bytes] = (), paper: bytes = b"", extra: Collection[bytes] = ()) -> Needles:
    """Samples from the files below `data` (one each from up to 500 files), every distinctive name, and `secrets`.

    `extra` are further contents, of which nobody knows in which files they are.
    """
    names: set[bytes] = set()
    files: list[bytes] = []
    for folder, folders, found in os.walk(os.fsencode(data)):
        names.update(name for name in (*folders, *found) if len(name) >= NAME_BYTES_MIN and b"\n" not in name)
        files += [os.path.join(folder, name) for name in found]
    step = max(1, len(files) // SAMPLES_MAX)
    samples = {path: sample for path in sorted(files)[::step] if (sample := _sample(path))}
    contents = (*sorted(set(samples.values())), *extra)
    places = (os.fsencode(data),) if extra else tuple(samples)
    return Needles(contents, tuple(sorted(names)), _lines(secrets), _lines((paper,)), places)


def _lines(secrets: Iterable[bytes]) -> tuple[bytes, ...]:
    return tuple(sorted({line for secret in secrets for line in secret.split(b"\n") if len(line) >= NAME_BYTES_MIN}))


def _sample(path: bytes) -> bytes:
    """32 to 64 bytes of a file that are not all alike, from its first 64 KiB."""
    try:
        found = os.lstat(path)
        if not stat.S_ISREG(found.st_mode) or found.st_size > FILE_BYTES_MAX:
            return b""
        with open(path, "rb") as file:
            for match in SAMPLE.finditer(file.read(65536)):
                if len(set(match[0])) >= 12:
                    return match[0]
    except OSError:
        return b""
    return b""


def seen_in(needles: Needles, folder: Path) -> frozenset[bytes]:
    """The contents and names of `needles` that a file below `folder` contains, or has as its name."""
    wanted = frozenset((*needles.contents, *needles.names))
    named = frozenset(os.path.basename(path) for path in _named(wanted, folder))
    return named | (wanted - _missing(wanted, (os.fsencode(folder),)))


def files_with(needles: Iterable[bytes], folder: Path) -> tuple[str, ...]:
    """The files below `folder` that contain a needle, or have one as their name."""
    wanted = frozenset(needles)
    result = _grep("--files-with-matches", wanted, (os.fsencode(folder),))
    if result.exit_code not in (0, 1):
        raise ApplianceError(f"grep failed: {result.tail()}")
    return (*result.stdout.decode(errors="replace").splitlines(), *map(os.fsdecode, _named(wanted, folder)))


def prove_search(needles: Needles, data: Path, keys: Path) -> None:
    """Raise Unknown unless the same search finds every needle where it is known to be.

    A secret that is on paper only is looked for in a file that is made for it.
    """
    if not needles.contents and not needles.names:
        raise Unknown("the documents hold nothing distinctive to look for.")
    with tempfile.TemporaryDirectory() as nowhere:
        (Path(nowhere) / "paper").write_bytes(b"\n".join(needles.paper))
        missed = {
            "piece": _missing(needles.contents, needles.places),
            "name": frozenset(needles.names) - {os.path.basename(path) for path in _named(needles.names, data)},
            "secret": _missing(needles.secrets, (os.fsencode(keys),))
            | _missing(needles.paper, (os.fsencode(nowhere),)),
        }
    told = [format_count(len(them), what) for what, them in missed.items() if them]
    if told:
        raise Unknown(f"the search does not even find {' and '.join(told)} where they are known to be.")


def _missing(needles: Iterable[bytes], places: Sequence[bytes]) -> frozenset[bytes]:
    """Those that no file of `places`, or below one, contains."""
    left = frozenset(needles)
    for some in batched(places, BATCH, strict=False):
        # Where two needles overlap, grep tells of one: the other is asked for again without it.
        while left and (found := left.intersection(_grep("--only-matching", left, some).stdout.split(b"\n"))):
            left -= found
    return left


def _grep(what: str, needles: Iterable[bytes], places: Sequence[bytes]) -> Result:
    with tempfile.NamedTemporaryFile() as patterns:
        patterns.write(b"\n".join(needles) + b"\n")
        patterns.flush()
        words = ("grep", what, "-r", "-h", "-a", "-F", "-f", patterns.name, "--", *map(os.fsdecode, places))
        return run(words, timeout_seconds=GREP_SECONDS_MAX, env={"LC_ALL": "C"})


def _named(wanted: Collection[bytes], folder: Path) -> list[bytes]:
    """The paths below `folder` whose last part is one of `wanted`."""
    return [
        os.path.join(path, name)
        for path, folders, names in os.walk(os.fsencode(folder))
        for name in (*folders, *names)
        if name in wanted
    ]
