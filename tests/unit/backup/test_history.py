"""Old generations in few files: nothing is lost at a cut, rot costs one line, and ten years cost what was changed."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from appliance.backup.chain import history as history_module
from appliance.backup.chain.history import HEADER, History, documents, remove_folder
from appliance.errors import Refused
from appliance.trust.signed import digest_of

RECEIPT = "receipt"
HOURLY_TEN_YEARS = 87_600


def header(number: int, previous: str = "0" * 64) -> bytes:
    return json.dumps({"type": "appliance/generation", "sequence": number, "previous": previous}).encode() + b"\nsigned"


def name(number: int, raw: bytes) -> str:
    return f"00002.{number:010d}.{digest_of(raw)[:16]}"


def chain(count: int) -> dict[str, dict[str, bytes]]:
    """Return `count` generations, each with its receipt, by name."""
    made, previous = {}, "0" * 64
    for number in range(1, count + 1):
        raw = header(number, previous)
        previous = digest_of(raw)
        made[name(number, raw)] = {HEADER: raw, RECEIPT: f"receipt {number}".encode()}
    return made


def test_what_is_added_is_found_with_its_parent_and_documents(tmp_path: Path) -> None:
    made = chain(1500)
    History(tmp_path / "history", 0o440).add(made)
    history = History(tmp_path / "history", 0o440)
    index = history.index()
    assert list(index) == sorted(made)
    assert {it: history.parts(it) for it in made} == made
    names = list(made)
    assert [it.previous for it in index.values()] == ["0" * 16, *(it[-16:] for it in names[:-1])]
    assert sorted(os.listdir(tmp_path / "history")) == ["00002.0000000", "00002.0000001", "lock"]
    assert history.count() == len(made)
    assert history.find("00002.0000000003.0000000000000000") is None
    assert (history.first_after("00001"), history.first_after("00002")) == (min(made), "")
    assert history.parts("00009.0000000003.0000000000000000") == {}


def test_documents_that_come_later_join_those_known(tmp_path: Path) -> None:
    history = History(tmp_path / "history", 0o440)
    ((one, parts),) = chain(1).items()
    history.add({one: {HEADER: parts[HEADER]}})
    history.add({one: {RECEIPT: parts[RECEIPT]}})
    assert history.parts(one) == parts


def test_a_cut_at_any_write_loses_no_document(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After each step of shelving a cut comes; then each document is in the folder or in the history."""
    made = chain(3)
    for step in range(40):
        root = tmp_path / str(step)
        for one, parts in made.items():
            (root / one).mkdir(parents=True)
            for part, raw in parts.items():
                (root / one / part).write_bytes(raw)
        with monkeypatch.context() as patched:
            finished = _cut_after(patched, step, lambda root=root: _shelve(root))  # type: ignore[misc]
        history = History(root / "history", 0o440)
        for one, parts in made.items():
            kept = {path.name: path.read_bytes() for path in (root / one).glob("*")}
            if HEADER not in kept:
                assert history.parts(one) == parts, step
            assert {**history.parts(one), **kept} == parts, step
        if finished:
            return
    pytest.fail("it never came to its end")


def _shelve(root: Path) -> None:
    found = {path.name: documents(path) for path in sorted(root.glob("*.*.*"))}
    History(root / "history", 0o440).add({it: parts for it, parts in found.items() if parts})
    for it in found:
        remove_folder(root / it)


class Cut(BaseException):
    pass


def _cut_after(monkeypatch: pytest.MonkeyPatch, steps: int, act: object) -> bool:
    """Have `act` end by Cut before its step after `steps` ones; say whether it ended before."""
    left = steps

    def counted(call: str) -> None:
        real = getattr(os, call)

        def counting(*args: object, **kwargs: object) -> object:
            nonlocal left
            if left == 0:
                raise Cut
            left -= 1
            return real(*args, **kwargs)

        monkeypatch.setattr(os, call, counting)

    for call in ("rename", "unlink", "rmdir", "mkdir", "link"):
        counted(call)
    try:
        act()  # type: ignore[operator]
    except Cut:
        return False
    return True


def test_what_is_removed_is_gone_and_a_file_without_any_left_too(tmp_path: Path) -> None:
    made = chain(1500)
    names = list(made)
    History(tmp_path / "history", 0o440).add(made)
    history = History(tmp_path / "history", 0o440)
    history.remove([names[3], *names[999:], name(9000, b"never known")])
    assert list(history.index()) == [it for it in names[:999] if it != names[3]]
    assert history.find(names[3]) is None
    assert {it: history.parts(it) for it in history.index()} == {it: made[it] for it in history.index()}
    assert sorted(os.listdir(tmp_path / "history")) == ["00002.0000000", "lock"]
    assert (tmp_path / "history/00002.0000000").stat().st_mode & 0o777 == 0o440
    history.remove(names)
    assert (history.count(), os.listdir(tmp_path / "history")) == (0, ["lock"])
    History(tmp_path / "none", 0o440).remove(names)
    assert not (tmp_path / "none").exists()


def test_a_cut_at_any_step_of_a_removal_leaves_all_before_what_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = chain(2500)
    names = list(made)
    for step in range(40):
        history = History(tmp_path / str(step), 0o440)
        history.add(made)
        with monkeypatch.context() as patched:
            finished = _cut_after(patched, step, lambda history=history: history.remove(names[10:]))  # type: ignore[misc]
        left = list(History(tmp_path / str(step), 0o440).index())
        assert left == names[: len(left)]
        if finished:
            assert left == names[:10]
            return
    pytest.fail("it never came to its end")


def test_a_file_that_lost_what_shall_stay_is_left_to_be_mended(tmp_path: Path) -> None:
    made = chain(4)
    names = list(made)
    history = History(tmp_path / "history", 0o440)
    history.add(made)
    file = tmp_path / "history/00002.0000000"
    lines = file.read_bytes().splitlines()
    lines[2] = b"\xa5" * len(lines[2])
    file.chmod(0o600)
    file.write_bytes(b"\n".join(lines) + b"\n")
    history.remove(names[2:])
    assert file.read_bytes().splitlines() == lines
    history.remove(names[1:])
    assert list(history.index()) == names[:1], "what was lost must go, too"


@pytest.mark.parametrize("line", [0, 2])
def test_a_rotten_line_costs_its_generation_alone(tmp_path: Path, line: int) -> None:
    made = chain(4)
    History(tmp_path / "history", 0o440).add(made)
    file = tmp_path / "history/00002.0000000"
    lines = file.read_bytes().splitlines()
    lines[line] = b"\xa5" * len(lines[line])
    file.chmod(0o600)
    file.write_bytes(b"\n".join(lines) + b"\n")
    history, names = History(tmp_path / "history", 0o440), list(made)
    lost = {names[line - 1]} if line else set()
    assert {it for it in names if history.parts(it) == made[it]} == set(names) - lost
    assert set(history.index()) == set(names), "the scrub must look for all of them"
    history.add({names[1]: made[names[1]]})
    assert {it: history.parts(it) for it in made} == made
    assert (tmp_path / "history/00002.0000000.rotten").read_bytes() == b"\n".join(lines) + b"\n"


def test_a_history_of_a_later_format_is_refused_and_stays(tmp_path: Path) -> None:
    file = tmp_path / "00002.0000000"
    file.write_bytes(b'{"format": 2, "generations": "packed"}\nAAAA\n')
    ((one, parts),) = chain(1).items()
    with pytest.raises(Refused, match="format 2"):
        History(tmp_path, 0o440).add({one: parts})
    with pytest.raises(Refused, match="format 2"):
        History(tmp_path, 0o440).index()
    assert file.read_bytes().startswith(b'{"format": 2')


def test_a_rotten_header_keeps_its_folder(tmp_path: Path) -> None:
    ((one, parts),) = chain(1).items()
    folder = tmp_path / one
    folder.mkdir()
    (folder / HEADER).write_bytes(parts[HEADER] + b"x")
    assert documents(folder) is None
    (folder / HEADER).write_bytes(parts[HEADER])
    (folder / RECEIPT).write_bytes(b"\xff\xfe")
    assert documents(folder) is None


@pytest.mark.long
def test_one_more_generation_after_ten_years_writes_one_file_of_a_thousand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = chain(HOURLY_TEN_YEARS)
    History(tmp_path / "history", 0o440).add(made)
    (last, parts) = next(reversed(made.items()))
    written: list[int] = []

    def counted(path: Path, data: bytes, *, mode: int) -> None:
        written.append(len(data))

    monkeypatch.setattr(history_module, "write_atomic", counted)
    read: list[str] = []
    monkeypatch.setattr(history_module, "_lines", _noting(history_module._lines, read))
    history = History(tmp_path / "history", 0o440)
    history.add({last: {**parts, "relay": b"later"}})
    assert history.find(last)
    assert len(history.newest(60)) < 1000
    assert (len(written), read) == (1, ["00002.0000087"])
    assert written[0] < 1_000_000


def _noting[T](call: T, read: list[str]) -> T:
    def noting(path: Path) -> object:
        read.append(path.name)
        return call(path)  # type: ignore[operator]

    return noting  # type: ignore[return-value]


def test_those_that_share_a_number_are_found_in_files_and_beside_them(tmp_path: Path) -> None:
    made = chain(1500)
    names = list(made)
    history = History(tmp_path / "history", 0o440)
    history.add({name: made[name] for name in names[:1400]})
    assert history.sharing("00002", names[1300:]) == ()
    other = {number: name(number, header(number, "1" * 64)) for number in (7, 1200, 1450)}
    history.add({other[7]: {HEADER: header(7, "1" * 64)}})
    beside = [*names[1400:], other[1200], other[1450]]
    assert set(history.sharing("00002", beside)) == {*other.values(), names[6], names[1199], names[1449]}
    assert history.sharing("00003", ()) == ()
    history.remove([other[7]])
    assert history.sharing("00002", ()) == ()


def test_a_file_that_stays_is_read_once_for_those_that_share_a_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = chain(2500)
    History(tmp_path / "history", 0o440).add(made)
    read: list[str] = []
    of_a_file = history_module._read_index

    def reading(path: Path) -> dict[str, history_module.Known]:
        read.append(path.name)
        return of_a_file(path)

    monkeypatch.setattr(history_module, "_read_index", reading)
    for _ in range(2):
        assert History(tmp_path / "history", 0o440).sharing("00002", list(made)[-1:]) == ()
    assert read == ["00002.0000000", "00002.0000001", "00002.0000002"]
