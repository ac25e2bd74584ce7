"""The demo takes any folder of the user's own that fits on the disk, and refuses others before anything starts."""

from __future__ import annotations

import os
import re
import shutil
from collections import namedtuple
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from appliance.cli import main
from appliance.config.load import load
from appliance.errors import UsageError
from appliance.territory.placement import place
from appliance.units import GIB, MIB, printable
from appliance_lab.demo.context import QUOTA_RATIO, with_room
from appliance_lab.demo.documents import COPIES, ROOM_BYTES_MIN, check_documents, measure, plant_canary
from appliance_lab.demo.search import needles_of
from tests.worlds.demo import INVENTORY

Usage = namedtuple("Usage", ("total", "used", "free"))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    return folder


def with_free(monkeypatch: pytest.MonkeyPatch, free: int) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(10 * free, 9 * free, free))


@pytest.mark.parametrize("content", [b"", b"budget\n" * 100, b"le budget primitif de la commune, chapitre 012\n"])
def test_documents_need_no_long_name_and_no_long_line(content: bytes, data: Path, tmp_path: Path) -> None:
    (data / "a.txt").write_bytes(content)
    check_documents(data, tmp_path / "work")


def test_a_hole_of_a_sparse_file_takes_no_room(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open(data / "disk.img", "wb") as file:
        file.truncate(1024 * GIB)
        file.write(b"x" * MIB)
    with_free(monkeypatch, ROOM_BYTES_MIN + COPIES * 2 * MIB)
    check_documents(data, tmp_path / "work")
    found = measure(data)
    assert (found.bytes, found.files) == (1024 * GIB, 1)
    assert MIB <= found.room_bytes < 2 * MIB


def test_a_file_with_two_names_takes_its_room_once_and_no_link_is_followed(data: Path) -> None:
    (data / "one").write_bytes(b"x" * MIB)
    os.link(data / "one", data / "other")
    (data / "link").symlink_to("one")
    os.mkfifo(data / "pipe")
    found = measure(data)
    assert (found.room_bytes, found.bytes, found.files) == (MIB, MIB, 2)


def test_more_than_fits_is_refused_with_what_is_needed_and_what_is_free(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (data / "archives de la commune.tar").write_bytes(b"x" * 2 * MIB)
    with_free(monkeypatch, ROOM_BYTES_MIN + COPIES * MIB)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert main.run(["demo", "--work", str(tmp_path / "work"), "--data", str(data)]) == 3
    said = capsys.readouterr().err
    assert f"{data}: these documents take 2 MiB of disk or more, and the demo needs {COPIES} times as much" in said
    assert f"; {tmp_path} has 1.2" in said
    assert "Name a folder with less, or let the demo work elsewhere, with --work DIR." in said
    assert not (tmp_path / "work").exists()


def test_of_a_whole_disk_no_more_is_looked_at_than_would_fit(data: Path) -> None:
    for name in range(20):
        (data / str(name)).write_bytes(b"x" * MIB)
    assert measure(data, 3 * MIB).files == 4


def test_a_folder_in_which_the_demo_works_is_refused(data: Path) -> None:
    with pytest.raises(UsageError, match=f"{data}: the demo works in {data}/build/demo, which lies in it"):
        check_documents(data_with_file(data), data / "build/demo")


def missing(place: Path) -> str:
    return "there is no such folder."


def link_to_nothing(place: Path) -> str:
    place.symlink_to("nowhere")
    return "there is no such folder."


def link_to_itself(place: Path) -> str:
    place.symlink_to(place.name)
    return r"this folder cannot be read \(Too many levels of symbolic links\)."


def file(place: Path) -> str:
    place.touch()
    return "this is no folder."


def below_a_file(place: Path) -> str:
    place.parent.rmdir()
    place.parent.touch()
    return "this is no folder."


def empty(place: Path) -> str:
    place.mkdir()
    return "there are no documents to back up."


@pytest.mark.parametrize("make", [missing, link_to_nothing, link_to_itself, file, below_a_file, empty])
def test_each_path_that_is_no_folder_with_documents_has_a_sentence(make: Callable[[Path], str], data: Path) -> None:
    place = data / 'it\'s "mine"\n'
    said = make(place)
    with pytest.raises(UsageError, match=f"^{re.escape(printable(str(place)))}: {said}"):
        check_documents(place, data.parent / "work")


@pytest.mark.parametrize("name", [b"two\nlines", b"\x1b[31mred", b"\xe9t\xe9"])
def test_a_path_that_no_bundle_could_hold_is_refused(name: bytes, data: Path, tmp_path: Path) -> None:
    place = data / os.fsdecode(name)
    place.mkdir()
    (tmp_path / "link").symlink_to(place)
    for path in (data_with_file(place), tmp_path / "link"):
        with pytest.raises(UsageError, match="the path has a control character, or bytes that are no UTF-8") as error:
            check_documents(path, tmp_path / "work")
        assert str(error.value).isprintable()


@pytest.mark.parametrize(
    "name", ['l\'école "A" $HOME `id` & *[?] ; %h', "-dash", " blanks ", "« à\N{NO-BREAK SPACE}lire\N{NO-BREAK SPACE}»"]
)
def test_quotes_blanks_and_wildcards_in_a_path_are_taken(name: str, data: Path, tmp_path: Path) -> None:
    (data / name).mkdir()
    check_documents(data_with_file(data / name), tmp_path / "work")


def test_a_closed_folder_is_told_from_an_empty_one(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(_: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "scandir", denied)  # root reads all
    with pytest.raises(UsageError, match="this account may not read the folder"):
        check_documents(data, tmp_path / "work")


@pytest.mark.parametrize("name", ["documents", "documents/below", "territory"])
def test_a_folder_that_the_demo_would_remove_is_refused(name: str, tmp_path: Path) -> None:
    data = tmp_path / name
    data.mkdir(parents=True)
    with pytest.raises(UsageError, match=r"removes this folder when it ends\. Name another one\."):
        check_documents(data_with_file(data), tmp_path)


def test_a_link_to_such_a_folder_is_none_either(tmp_path: Path) -> None:
    (tmp_path / "documents").mkdir()
    data_with_file(tmp_path / "documents")
    (tmp_path / "link").symlink_to("documents")
    with pytest.raises(UsageError, match="the demo removes this folder"):
        check_documents(tmp_path / "link", tmp_path)


def test_documents_beside_what_the_demo_makes_are_taken(tmp_path: Path) -> None:
    data = tmp_path / "mine"
    data.mkdir()
    check_documents(data_with_file(data), tmp_path)


def data_with_file(data: Path) -> Path:
    (data / "a.txt").write_text("x\n")
    return data


@pytest.mark.parametrize("size", [MIB, 3 * GIB, 1024 * GIB])
def test_documents_of_any_size_find_their_places(size: int) -> None:
    plan = load(INVENTORY)
    service = replace(plan.service("docs-a"), size_bytes=size, quota_bytes=QUOTA_RATIO * size)
    nodes = {name: with_room(node, service.quota_bytes) for name, node in plan.nodes.items()}
    places = place(replace(plan, nodes=nodes, services={"docs-a": service}))["docs-a"]
    assert (set(places.holders), places.spares) == ({"hermitage", "commune-b"}, ("commune-c",))


def test_the_canary_has_a_name_and_lines_to_look_for_which_no_other_has(tmp_path: Path) -> None:
    first, second = (needles_of(plant_canary(tmp_path / name).parent) for name in ("one", "two"))
    assert (len(first.contents), len(first.names)) == (1, 1)
    assert not {*first.all} & {*second.all}
