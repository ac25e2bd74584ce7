"""The reserve in borg's config is lifted for a moment; the file comes back byte for byte, also after a cut."""

from __future__ import annotations

import configparser
import os
from collections import namedtuple
from pathlib import Path

import pytest

from appliance.borg import folder
from appliance.borg.folder import LIFTED, put_back_reserve, reserve_lifted, set_sizes
from appliance.units import GIB, MIB

Usage = namedtuple("Usage", "free")


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "config"
    path.write_text(f"[repository]\nversion = 1\nid = {'ab' * 32}\nmax_segment_size = 524288000\n")
    set_sizes(path)
    monkeypatch.setattr(folder.shutil, "disk_usage", lambda _: Usage(GIB))
    return path


def read(path: Path, name: str) -> int:
    parser = configparser.ConfigParser()
    parser.read(path)
    return int(parser["repository"].get(name, "0"))


def test_the_reserve_is_lifted_in_the_block_only(config: Path) -> None:
    before = config.read_bytes()
    with reserve_lifted(config.parent):
        assert read(config, "additional_free_space") == 0
        assert read(config, "max_segment_size") == folder.SEGMENT_BYTES
    assert config.read_bytes() == before
    assert os.listdir(config.parent) == ["config"]


def test_with_little_room_segments_are_small(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder.shutil, "disk_usage", lambda _: Usage(30 * MIB))
    with reserve_lifted(config.parent):
        assert read(config, "max_segment_size") == folder.SMALL_SEGMENT_BYTES
    assert read(config, "max_segment_size") == folder.SEGMENT_BYTES


def test_a_failure_in_the_block_puts_it_back(config: Path) -> None:
    before = config.read_bytes()
    with pytest.raises(ZeroDivisionError), reserve_lifted(config.parent):
        raise ZeroDivisionError
    assert config.read_bytes() == before


def test_what_a_cut_left_is_put_back_by_the_next(config: Path) -> None:
    before = config.read_bytes()
    os.link(config, config.parent / LIFTED)
    put_back_reserve(config.parent)
    assert os.listdir(config.parent) == ["config"], "cut before the config was written"
    block = reserve_lifted(config.parent)
    block.__enter__()
    with reserve_lifted(config.parent):
        assert read(config, "additional_free_space") == 0
    assert config.read_bytes() == before


def test_a_repository_that_reserves_nothing_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "config").write_text("[repository]\nversion = 1\n")
    with reserve_lifted(tmp_path):
        assert (tmp_path / "config").read_text() == "[repository]\nversion = 1\n"
