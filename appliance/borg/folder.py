"""What a repository's folder and its base folder say without running borg."""

from __future__ import annotations

import configparser
from io import StringIO
from pathlib import Path

from appliance.borg.errors import KeyMissing, RepositoryMissing
from appliance.borg.model import Repository
from appliance.host.files import write_atomic
from appliance.units import MIB

SEGMENT_BYTES = 64 * MIB
"""Small enough that compaction and a resumed push move little; the default is 500 MiB."""
SPARE_BYTES = 64 * MIB
"""borg refuses to commit when less would remain, so that pruning and compacting still work on a full disk."""


def keyfile(repository: Repository) -> Path:
    """The file in the base folder that holds this repository's key; raise KeyMissing."""
    first = f"BORG_KEY {repository_id(repository.path)}"
    for file in sorted(repository.base.glob(".config/borg/keys/*")):
        if file.read_text(errors="replace").startswith(first):
            return file
    raise KeyMissing("no keyfile for this repository.", where=str(repository.base))


def repository_id(path: Path) -> str:
    """The repository's id, 64 hexadecimal digits, from its `config`; raise NotFound when there is no repository."""
    config = configparser.ConfigParser(interpolation=None)
    try:
        config.read_string((path / "config").read_text())
        return config["repository"]["id"].strip()
    except (OSError, configparser.Error, KeyError) as error:
        raise RepositoryMissing("there is no repository here.", where=str(path)) from error


def set_sizes(path: Path) -> None:
    """Write our sizes into the `config` at `path`."""
    config = configparser.ConfigParser(interpolation=None)
    config.read_string(path.read_text())
    config["repository"]["max_segment_size"] = str(SEGMENT_BYTES)
    config["repository"]["additional_free_space"] = str(SPARE_BYTES)
    text = StringIO()
    config.write(text)
    write_atomic(path, text.getvalue().encode(), mode=0o600)
