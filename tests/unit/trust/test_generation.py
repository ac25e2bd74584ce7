"""The list and the header of a generation: every path it may name, and every hostile list it refuses."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from appliance.errors import ApplianceError, IntegrityError, Refused
from appliance.trust import generation, signed
from appliance.trust.generation import (
    NO_PARENT,
    Entry,
    GenerationId,
    check_strict,
    epoch_of,
    fields_of,
    make_header,
    parse_list,
    read_header,
    render_list,
)
from appliance.trust.keys import public_line

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = public_line(KEY)
A, B = "a" * 64, "b" * 64

digests = st.binary(min_size=32, max_size=32).map(bytes.hex)
numbers = st.integers(0, 10**10 - 1).map(str)
paths = (
    st.sampled_from(["config", "README", "grant"])
    | st.tuples(numbers, numbers).map(lambda pair: f"data/{pair[0]}/{pair[1]}")
    | st.from_regex(r"envelopes/[a-z][a-z0-9-]{0,62}\.age", fullmatch=True)
)
entries = st.lists(
    st.builds(Entry, paths, digests, st.integers(0, 10**15 - 1)),
    unique_by=(lambda entry: entry.path, lambda entry: entry.sha256),
)


def _header(listing: bytes, made: list[Entry], **fields: Any) -> bytes:
    said: dict[str, Any] = {
        "service": "docs-a",
        "epoch": 2,
        "sequence": 1,
        "previous": NO_PARENT,
        "time": "2026-11-25T08:00:00Z",
        **fields,
    }
    return make_header(KEY, **said, listing=listing, entries=made)


@given(entries)
def test_a_list_is_read_back_as_it_was_made(made: list[Entry]) -> None:
    listing = render_list(made)
    assert list(parse_list(listing)) == sorted(made, key=lambda entry: entry.path)
    assert render_list(parse_list(listing)) == listing


@given(entries.filter(bool), st.integers(0, 10**6), st.integers(0, 255))
def test_a_header_covers_every_byte_of_its_list(made: list[Entry], at: int, value: int) -> None:
    listing = render_list(made)
    header = read_header(_header(listing, made), PUBLIC)
    assert len(parse_list(listing, header)) == len(made)
    changed = bytearray(listing)
    changed[at % len(listing)] = value
    if changed != listing:
        with pytest.raises(IntegrityError):
            parse_list(bytes(changed), header)


@given(st.binary(max_size=300))
def test_any_bytes_are_a_list_or_refused(data: bytes) -> None:
    try:
        parsed = parse_list(data)
    except IntegrityError:
        return
    assert b"".join(render_list([entry]) for entry in parsed) == data


def test_sha256sum_reads_a_list_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "data/0").mkdir(parents=True)
    made = []
    for path in ("config", "data/0/1"):
        (tmp_path / path).write_bytes(path.encode())
        made.append(Entry(path, signed.digest_of(path.encode()), len(path)))
    (tmp_path / "list").write_bytes(render_list(made))
    words = ("sha256sum", "--strict", "--check", "list")
    assert subprocess.run(words, cwd=tmp_path, capture_output=True, check=False).returncode == 0
    (tmp_path / "config").write_bytes(b"other")
    assert subprocess.run(words, cwd=tmp_path, capture_output=True, check=False).returncode == 1


HOSTILE_PATHS = [
    "",
    ".",
    "..",
    "/etc/passwd",
    "../config",
    "data/../config",
    "data/0/../../x",
    "data//1",
    "data/0",
    "data/0/1/2",
    "data/00/1",
    "data/01/1",
    "data/-1/1",
    "data/0/1 ",
    "data/0/1\t",
    "data/0/x",
    "data/٣/1",
    "data/0/99999999999",
    "config/",
    "./config",
    "CONFIG",
    "readme",
    "index.5",
    "hints.5",
    "integrity.5",
    "nonce",
    "lock.exclusive",
    "lock.roster/x",
    "envelopes/",
    "envelopes/.age",
    "envelopes/A.age",
    "envelopes/a/b.age",
    "envelopes/a.AGE",
    "envelopes/-a.age",
    "envelopes/" + "a" * 64 + ".age",
    "--help",
    "grant\\n",
    "data/0/1\x00",
    "keys/sign_ed25519",
    "generations/x/list",
]


@pytest.mark.parametrize("path", HOSTILE_PATHS)
def test_a_list_names_nothing_but_files_of_a_repository(path: str) -> None:
    with pytest.raises(IntegrityError, match=r"the list is (not a file|not plain ASCII|cut short)"):
        parse_list(f"# 5\n{A}  {path}\n".encode())


HOSTILE_LISTS: dict[str, tuple[bytes, str]] = {
    "no end of line": (f"# 5\n{A}  config".encode(), "is cut short"),
    "a size without file": (b"# 5\n", "is cut short"),
    "a file without size": (f"{A}  config\n".encode(), "is cut short"),
    "a file with the size of another": (f"{A}  config\n# 5\n".encode(), "of the list is not a file"),
    "ends of line of another system": (f"# 5\r\n{A}  config\r\n".encode(), "of the list is not a file"),
    "an empty line": (f"\n# 5\n{A}  config\n\n".encode(), "of the list is not a file"),
    "a hash in capitals": (f"# 5\n{'A' * 64}  config\n".encode(), "of the list is not a file"),
    "a hash too short": (f"# 5\n{'a' * 63}  config\n".encode(), "of the list is not a file"),
    "a hash too long": (f"# 5\n{'a' * 65}  config\n".encode(), "of the list is not a file"),
    "one space": (f"# 5\n{A} config\n".encode(), "of the list is not a file"),
    "binary mode": (f"# 5\n{A} *config\n".encode(), "of the list is not a file"),
    "an escaped name": (f"# 5\n\\{A}  config\n".encode(), "of the list is not a file"),
    "a size below nothing": (f"# -5\n{A}  config\n".encode(), "of the list is not a file"),
    "a size with a sign": (f"# +5\n{A}  config\n".encode(), "of the list is not a file"),
    "a size with a zero before": (f"# 05\n{A}  config\n".encode(), "of the list is not a file"),
    "a size in halves": (f"# 5.5\n{A}  config\n".encode(), "of the list is not a file"),
    "a size beyond all disks": (f"# 1{'0' * 15}\n{A}  config\n".encode(), "of the list is not a file"),
    "no size": (f"#\n{A}  config\n".encode(), "of the list is not a file"),
    "a path twice": (f"# 5\n{A}  config\n# 5\n{B}  config\n".encode(), "names a path twice"),
    "one hash with two sizes": (f"# 5\n{A}  config\n# 6\n{A}  grant\n".encode(), f"gives two sizes for {A}"),
    "accents": (f"# 5\n{A}  envelopes/é.age\n".encode(), "is not plain ASCII"),
    "zero bytes": (b"\0" * 100, "is cut short"),
}


@pytest.mark.parametrize("name", HOSTILE_LISTS)
def test_a_list_of_another_form_is_refused(name: str) -> None:
    listing, sentence = HOSTILE_LISTS[name]
    with pytest.raises(IntegrityError, match=sentence):
        parse_list(listing)


def test_a_list_has_a_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generation, "LIST_BYTES_MAX", 50)
    with pytest.raises(IntegrityError, match="more than the 50 allowed"):
        parse_list(render_list([Entry("config", A, 5)]))


@pytest.mark.parametrize("changed", [{"bytes": 6}, {"files": 2}, {"bytes": 0}])
def test_a_header_whose_totals_are_not_its_lists_is_refused(changed: dict[str, int]) -> None:
    listing = render_list([Entry("config", A, 5)])
    honest = signed.read(_header(listing, [Entry("config", A, 5)]), generation.TYPE, (PUBLIC,)).fields
    fields = {name: value for name, value in honest.items() if name not in ("type", "format")}
    header = read_header(signed.make(generation.TYPE, {**fields, **changed}, KEY), PUBLIC)
    with pytest.raises(IntegrityError, match=r"the totals of generation 2\.1 do not match its list"):
        parse_list(listing, header)


BAD_FIELDS: dict[str, Any] = {
    "service": ["", "Docs", None, 5, "a/b"],
    "epoch": [0, -1, 65_536, "2", True, None],
    "sequence": [0, -1, 10**10, "1", True, None],
    "previous": ["", "0" * 63, "0" * 65, "G" * 64, "A" * 64, None, 0],
    "time": ["", None, 5],
    "list": ["", A[:-1], None],
    "files": [0, -1, "1", None, True],
    "bytes": [-1, "1", None, True, 2**63],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in BAD_FIELDS.items() for value in values])
def test_a_field_of_another_form_is_refused_by_name(name: str, value: object) -> None:
    good = signed.read(_header(b"", [Entry("config", A, 5)]), generation.TYPE, (PUBLIC,)).fields
    fields = {key: kept for key, kept in good.items() if key not in ("type", "format")}
    raw = signed.make(generation.TYPE, {**fields, name: value}, KEY)
    with pytest.raises(IntegrityError, match=f'field "{name}" is missing or (malformed|out of range)'):
        read_header(raw, PUBLIC)


def test_a_header_of_another_writer_is_refused() -> None:
    other = public_line(Ed25519PrivateKey.generate())
    with pytest.raises(Refused, match="signed by a key that may not sign it"):
        read_header(_header(b"", [Entry("config", A, 5)]), other)


def test_a_header_is_small() -> None:
    raw = _header(b"", [Entry("config", A, 5)], time="x" * 4096)
    with pytest.raises(IntegrityError, match="more than the 4096 allowed"):
        read_header(raw, PUBLIC)


def _signed(format_: int, **changed: Any) -> bytes:
    """A header of `format_` with other fields than an honest writer gives it."""
    raw = _header(b"", [Entry("config", A, 5)], **({"whole": True} if format_ == 2 else {}))
    fields = {key: kept for key, kept in fields_of(raw).items() if key not in ("type", "format")}
    return signed.make(generation.TYPE, fields | changed, KEY, format_)


def test_a_header_of_format_2_says_what_its_newest_archive_lacks() -> None:
    header = read_header(_header(b"", [Entry("config", A, 5)], whole=False, missing=(1, 4)), PUBLIC)
    assert (header.document.format, header.whole, header.missing) == (2, False, (1, 4))


def test_a_header_of_format_1_is_whole_for_lack_of_knowledge() -> None:
    header = read_header(_header(b"", [Entry("config", A, 5)]), PUBLIC)
    assert (header.document.format, header.whole, header.missing) == (1, True, ())


def test_a_header_names_a_bounded_number_of_missing_paths() -> None:
    raw = _header(b"", [Entry("config", A, 5)], whole=False, missing=range(1000))
    assert read_header(raw, PUBLIC).missing == tuple(range(generation.MISSING_MAX))


def test_the_largest_header_is_below_its_limit() -> None:
    extremes: dict[str, Any] = {"service": "a" * 63, "epoch": 65_535, "sequence": 9_999_999_999, "whole": False}
    missing = range(generation.PATH_INDEX_MAX + 1 - generation.MISSING_MAX, generation.PATH_INDEX_MAX + 1)
    raw = _header(b"", [Entry("config", A, 10**15)], **extremes, missing=missing)
    assert len(raw) + 20 <= generation.STRICT_BYTES_MAX, "files and bytes may have 20 more digits"
    read_header(raw, PUBLIC)


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"whole": 1}, 'field "whole"'),
        ({"whole": None}, 'field "whole"'),
        ({"missing": None}, 'field "missing"'),
        ({"missing": [1]}, 'field "missing"'),
        ({"whole": False, "missing": [2, 1]}, 'field "missing"'),
        ({"whole": False, "missing": [1, 1]}, 'field "missing"'),
        ({"whole": False, "missing": [-1]}, 'field "missing"'),
        ({"whole": False, "missing": [True]}, 'field "missing"'),
        ({"whole": False, "missing": [1000]}, 'field "missing"'),
        ({"whole": False, "missing": [*range(33)]}, 'field "missing"'),
        ({"note": "x"}, "format 2 has no field 'note'"),
        ({"time": "yesterday"}, 'field "time"'),
        ({"time": "2026-11-25T08:00:00Z "}, 'field "time"'),
    ],
)
def test_a_header_of_format_2_of_another_form_is_refused(changed: dict[str, object], sentence: str) -> None:
    with pytest.raises(IntegrityError, match=sentence):
        read_header(_signed(2, **changed), PUBLIC)


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"whole": True}, "format 1 has no field 'whole'"),
        ({"note": "x" * 2000}, "format 1 has no field 'note'"),
        ({"time": '"' * 1500}, 'field "time"'),
    ],
)
def test_a_stored_header_of_format_1_is_read_and_a_new_one_is_refused_by_its_form(
    changed: dict[str, object], sentence: str
) -> None:
    header = read_header(_signed(1, **changed), PUBLIC)
    with pytest.raises(IntegrityError, match=sentence):
        check_strict(header)


def test_a_header_of_a_later_format_asks_for_an_upgrade() -> None:
    with pytest.raises(Refused, match="has format 3; this version reads format 1 and 2"):
        read_header(_signed(3), PUBLIC)


@pytest.mark.parametrize("value", [0, 65_536, True, "2", None, [2]])
def test_the_epoch_a_header_claims_is_in_range_before_it_says_which_grant_to_take(value: object) -> None:
    raw = signed.make(generation.TYPE, {"epoch": value}, KEY)
    with pytest.raises(ApplianceError, match='field "epoch"'):
        epoch_of(raw)


@given(st.lists(st.builds(GenerationId, st.integers(1, 65_535), st.integers(1, 9_999_999_999), digests), max_size=6))
def test_folder_names_sort_as_the_generations_do(ids: list[GenerationId]) -> None:
    assert sorted(ids, key=lambda one: one.name) == sorted(ids)
