"""The words given to borg say exactly what is meant, whatever the names."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.borg import argv
from appliance.borg.model import Repository
from appliance.errors import UsageError
from appliance.secret import Secret

REPOSITORY = Repository(Path("/srv/r"), Path("/srv/base"), Secret(b"pw"))


def test_a_path_with_braces_is_not_taken_for_a_placeholder() -> None:
    assert argv.location(Path("/srv/{now}"), "a") == "/srv/{{now}}::a"


@pytest.mark.parametrize("path", [Path("relative"), Path("/srv/a::b")])
def test_a_path_borg_would_read_otherwise_is_refused(path: Path) -> None:
    with pytest.raises(UsageError, match="is not a valid repository"):
        argv.location(path)


@pytest.mark.parametrize("name", ["a/b", "{now}", "-x", "a b", "x.checkpoint", "x.checkpoint.2", "a" * 201])
def test_an_archive_name_borg_would_read_otherwise_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="is not a valid archive name"):
        argv.location(Path("/srv/r"), name)


@pytest.mark.parametrize("name", ["a", "attichy-2026-11-25T08:00:00Z", "x_1+2@y"])
def test_usual_archive_names_are_taken(name: str) -> None:
    assert argv.location(Path("/srv/r"), name) == f"/srv/r::{name}"


def test_the_passphrase_is_in_neither_words_nor_environment() -> None:
    environment = argv.environment(REPOSITORY, "host")
    assert "pw" not in environment.values()
    assert "BORG_PASSPHRASE" not in environment


def test_without_a_passphrase_borg_never_prompts() -> None:
    keyless = Repository(REPOSITORY.path, REPOSITORY.base)
    assert argv.environment(keyless, "host")["BORG_PASSPHRASE"] == ""


def test_borg_speaks_utc() -> None:
    assert argv.environment(REPOSITORY, "host")["TZ"] == "UTC"


def test_options_end_before_names() -> None:
    words = argv.create(
        Path("/srv/r"),
        "a",
        ["-x", "y"],
        exclude=["sh:*.tmp"],
        rate_limit_kib=100,
        checkpoint_seconds=60,
        timestamp="2026-11-25T08:00:00Z",
    )
    assert words[-4:] == ("--", "/srv/r::a", "-x", "y")
    assert argv.list_items(Path("/srv/r"), "a", ["pp:sh:x"])[-3:] == ("--", "/srv/r::a", "pp:sh:x")
    assert argv.list_outlines(Path("/srv/r"), "a", ["pp:sh:x"], "END")[-3:] == ("--", "/srv/r::a", "pp:sh:x")


def test_a_path_brings_the_folders_above_it() -> None:
    assert argv.members(["a/b/c", "a/d"]) == ["pp:a/b/c", "pp:a/d", "pf:a", "pf:a/b"]
    assert argv.members([]) == []
