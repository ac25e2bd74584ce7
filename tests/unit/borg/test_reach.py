"""Which folders each verb of borg opens; `tests/integration/borg/test_confined.py` has the kernel hold it to them."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.borg import argv
from appliance.borg.model import Repository
from appliance.borg.reach import reach
from appliance.host.confined import Reach

REPOSITORY = Repository(Path("/state/repository"), Path("/state/borg"), blobs=(Path("/pool/ab"),))
OWN = (REPOSITORY.path, REPOSITORY.base)
BLOBS = REPOSITORY.blobs
DEBIANS = "/usr/bin/borg"
HERE = Path("/here")


def create(*paths: str) -> tuple[str, ...]:
    terms = {"exclude": ["pp:here/no"], "rate_limit_kib": None, "checkpoint_seconds": 0, "timestamp": None}
    return argv.create(REPOSITORY.path, "a", paths, **terms)  # type: ignore[arg-type]


EXTRACT = argv.extract(REPOSITORY.path, "a", ["pp:x"], numeric_ids=False, exclude_from=None)


@pytest.mark.parametrize(
    ("words", "cwd", "expected"),
    [
        (argv.list_archives(REPOSITORY.path), None, Reach(OWN, BLOBS)),
        (argv.extract_to_stdout(REPOSITORY.path, "a", "x"), None, Reach(OWN, BLOBS)),
        (argv.check_archives(REPOSITORY.path, True), None, Reach(OWN, BLOBS)),
        (EXTRACT, HERE, Reach((*OWN, HERE), BLOBS)),
        (create("."), HERE, Reach(OWN, (*BLOBS, HERE), (HERE.parent,))),
        (create("srv/a"), Path("/"), Reach(OWN, (*BLOBS, Path("/srv/a")), (Path("/srv"),))),
        (create("/dumps/./x"), HERE, Reach(OWN, (*BLOBS, Path("/dumps/x")), (Path("/dumps"),))),
    ],
    ids=["list", "to-a-pipe", "check", "extract", "create-here", "create-below-root", "create-with-a-cut-name"],
)
def test_a_verb_reaches_its_repository_and_what_it_is_given(words: tuple[str, ...], cwd: Path, expected: Reach) -> None:
    assert reach(REPOSITORY, words, cwd, DEBIANS) == expected


def test_only_what_is_extracted_to_is_written_besides_the_repository() -> None:
    verbs = (argv.list_archives(REPOSITORY.path), create("."), EXTRACT)
    assert [set(reach(REPOSITORY, it, HERE, DEBIANS).writes) - set(OWN) - {HERE} for it in verbs] == [set()] * 3
    assert HERE not in reach(REPOSITORY, create("."), HERE, DEBIANS).writes


@pytest.mark.parametrize(("program", "runs"), [(DEBIANS, ()), (None, ()), ("/home/me/.local/bin/borg", (Path("/"),))])
def test_a_borg_that_is_not_the_packaged_one_reads_everywhere(program: str | None, runs: tuple[Path, ...]) -> None:
    assert reach(REPOSITORY, argv.list_archives(REPOSITORY.path), None, program) == Reach(OWN, BLOBS, runs=runs)
