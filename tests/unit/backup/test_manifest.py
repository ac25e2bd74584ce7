"""A manifest is read back as it was written, and one that is cut, lies about its form or is of later is refused."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.backup import manifest
from appliance.backup.manifest import Aged, LeftOut, Manifest, PathManifest, decode, encode
from appliance.errors import ApplianceError, IntegrityError, Refused

paths = st.text(max_size=20) | st.just("/srv/\udce9t\udce9")
counts = st.integers(0, 2**40)
path_manifests = st.builds(PathManifest, paths, st.sampled_from(["read", "partly", "failed"]), counts, counts, paths)
left_outs = st.lists(st.builds(LeftOut, paths, paths), max_size=4).map(tuple)
manifests = st.builds(
    lambda them, left, more, aged: Manifest(tuple(them), left, len(left) + more, aged),
    st.lists(path_manifests, max_size=4),
    left_outs,
    st.integers(0, 9),
    st.none() | st.builds(Aged, counts, paths, paths),
)

PARTIAL = Manifest(
    (PathManifest("/srv/docs", "read", 3, 90), PathManifest("/srv/cadastre", "failed", 0, 0, "it does not exist."))
)


@given(manifests)
def test_a_manifest_is_read_back_as_it_was_written(made: Manifest) -> None:
    assert decode(encode(made)) == made
    assert encode(made).isascii()


def test_a_path_that_is_not_wholly_read_makes_a_manifest_partial() -> None:
    assert (PARTIAL.whole, PARTIAL.missing) == (False, (1,))
    assert (PARTIAL.files, PARTIAL.bytes) == (3, 90)


def test_a_file_that_is_missing_under_no_path_makes_a_manifest_partial() -> None:
    made = Manifest(PARTIAL.paths[:1], (LeftOut("/srv/docs/a", "EIO"),), 1)
    assert (made.whole, made.missing) == (False, ())
    assert Manifest(PARTIAL.paths[:1]).whole


def test_more_names_than_the_limit_are_cut_and_still_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifest, "NAMES_MAX", 2)
    left_out = tuple(LeftOut(f"/srv/docs/{number}", "EIO") for number in range(5))
    read = decode(encode(Manifest(PARTIAL.paths, left_out, 5)))
    assert (read.left_out, read.left_out_count) == (left_out[:2], 5)


@given(st.integers(1, 10**6))
def test_a_manifest_that_is_cut_is_refused(cut: int) -> None:
    text = encode(PARTIAL)
    with pytest.raises(IntegrityError, match="cut short"):
        decode(text[: -1 - cut % (len(text) - 1)])


@given(st.text(max_size=60) | st.recursive(st.none() | st.integers(), st.lists).map(json.dumps))
def test_any_text_is_refused_with_a_sentence(text: str) -> None:
    with pytest.raises(IntegrityError, match="manifest"):
        decode(text)


def _changed(**changes: object) -> str:
    return json.dumps(json.loads(encode(PARTIAL)) | changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"paths": None},
        {"paths": [["/srv", "read", 1]]},
        {"paths": [["/srv", "gone", 1, 1, ""]]},
        {"paths": [["/srv", "read", -1, 1, ""]]},
        {"paths": [["/srv", "read", True, 1, ""]]},
        {"paths": [[5, "read", 1, 1, ""]]},
        {"left_out": [["/a"]]},
        {"left_out": [["/a", None]]},
        {"left_out": [["/a", "EIO"], ["/b", "EIO"]], "left_out_count": 1},
        {"left_out_count": "1"},
        {"aged": 5},
        {"aged": [-1, "", ""]},
    ],
)
def test_a_manifest_of_another_form_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(IntegrityError, match="malformed"):
        decode(_changed(**changes))


@pytest.mark.parametrize("format_", [0, 2, True, "1", None])
def test_a_manifest_of_a_later_format_asks_for_an_upgrade(format_: object) -> None:
    with pytest.raises(Refused, match="this version reads format 1"):
        decode(_changed(format=format_))


def test_a_manifest_that_is_too_long_is_not_even_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifest, "MANIFEST_BYTES_MAX", 10)
    with pytest.raises(ApplianceError, match="more than the 10 allowed"):
        decode(encode(PARTIAL))
