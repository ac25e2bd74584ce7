"""The common parts of the rows: the work folder, the documents, how often, and the territory that a first backup is
safe in."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from appliance.errors import ApplianceError, NoSpace
from appliance.host.files import make_private_folder
from appliance.units import GIB, KIB, MIB, format_bytes
from appliance_lab.bench.env import BenchEnv, make_env
from appliance_lab.bench.rival import Rival
from appliance_lab.corpus import change, generate

SEED = 1
CHANGED_SHARE = 0.01
ROOM_FACTOR = 10  # three copies of ours, six of the rivals', what is restored


class Skipped(ApplianceError):
    """A row cannot be measured on this machine, by this account; the result says why and is complete without it."""


@dataclass(frozen=True)
class Size:
    """How much is measured. The smoke test asks for little, and its figures mean nothing."""

    documents_bytes: int = 2 * GIB
    documents_files: int = 20_000
    runs: int = 5
    parcel_bytes: int = 300 * MIB
    many_files: int = 100_000
    still_files: int = 200_000
    names: int = 1_000_000
    days: int = 28
    rest_seconds: float = 60.0
    settled_seconds: float = 10.0
    takeover_file_bytes: int = 208 * KIB
    takeover_files: int = 1000
    takeover_folders: int = 100
    years_generations: int = 87_600
    years_services: int = 20


QUICK = Size(
    10 * MIB,
    200,
    runs=1,
    parcel_bytes=8 * MIB,
    many_files=500,
    still_files=600,
    names=1500,
    days=7,
    rest_seconds=1.0,
    settled_seconds=1.0,
    takeover_file_bytes=32 * KIB,
    takeover_files=100,
    takeover_folders=4,
    years_generations=300,
    years_services=2,
)


@dataclass
class Saved:
    """A ground whose documents are safe at both peers, and in the repositories of a rival."""

    env: BenchEnv
    rival: Rival


@dataclass
class Bench:
    """One run of the benchmark in the folder `work`, told line by line through `say`."""

    work: Path
    size: Size
    say: Callable[[str], None]
    kept: Saved | None = None

    def runs(self, what: str) -> Iterator[int]:
        """Number the runs from 0 and tell of each."""
        for number in range(self.size.runs):
            self.say(f"{what}: run {number + 1} of {self.size.runs}")
            yield number

    def documents(self) -> Path:
        """The documents of a town hall, made when they are first asked for; changes stay in them."""
        folder = self.work / "documents"
        if not folder.exists():
            self._check_room()
            wanted = format_bytes(self.size.documents_bytes)
            self.say(f"making {self.size.documents_files} documents of {wanted}")
            generate(make_private_folder(folder), self.size.documents_bytes, self.size.documents_files, SEED)
        return folder

    def change(self) -> None:
        """Let the documents live for a day: about 1 % of their bytes are new."""
        change(self.documents(), CHANGED_SHARE)

    def set_up(self, name: str, documents: Path | None = None) -> BenchEnv:
        """A new territory of that name, for `documents` or those of the town hall."""
        size = self.size.documents_bytes if documents is None else self.size.parcel_bytes
        return make_env(self.work / name, documents or self.documents(), size)

    def set_up_with_rival(self) -> Saved:
        """A new ground with a rival, nothing saved yet."""
        if self.kept:
            self.kept.env.wipe()
            self.kept = None
        env = self.set_up("saved")
        rival = Rival(env, "sequence")
        with env.listening():
            rival.init()
        return Saved(env, rival)

    def saved(self) -> Saved:
        """The ground that the first backup left, or one that is made now."""
        if self.kept is None:
            made = self.set_up_with_rival()
            self.say("a first backup of both sides, not measured")
            with made.env.listening():
                made.env.back_up()
                made.rival.create_in_sequence()
            self.kept = made
        return self.kept

    def clean(self) -> None:
        if self.kept:
            self.kept.env.wipe()
        shutil.rmtree(self.work, ignore_errors=True)

    def _check_room(self) -> None:
        free, wanted = shutil.disk_usage(make_private_folder(self.work)).free, ROOM_FACTOR * self.size.documents_bytes
        if free < wanted:
            raise NoSpace(
                f"the benchmark fills {format_bytes(wanted)} and {format_bytes(free)} are free.",
                where=str(self.work),
                remedy="Name another folder with --work, or less with --size.",
            )


def in_turns[T](number: int, legs: Mapping[str, Callable[[], T]]) -> Iterator[tuple[str, T]]:
    """Yield the result of each leg, as it ends; each run begins with another one, so none always comes first."""
    names = list(legs)
    first = number % len(names)
    for name in (*names[first:], *names[:first]):
        yield name, legs[name]()
