"""A manifest is read back as it was written, and one that is cut, lies about its form or is of later is refused."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.backup.writer import manifest
from appliance.backup.writer.manifest import Accepted, Aged, LeftOut, Manifest, PathManifest, decode, encode
from appliance.errors import ApplianceError, IntegrityError, Refused

letters = st.characters(exclude_characters="\0", exclude_categories=["Cs"])
names = st.text(letters, max_size=20).filter(lambda it: ".." not in it.split("/")) | st.just("/srv/\udce9t\udce9")
texts = st.text(max_size=20)
counts = st.integers(0, 2**40)
path_manifests = st.builds(PathManifest, names, st.sampled_from(["read", "partly", "failed"]), counts, counts, texts)
left_outs = st.lists(st.builds(LeftOut, names, texts), max_size=4).map(tuple)
manifests = st.builds(
    lambda them, left, more, aged: Manifest(tuple(them), left, len(left) + more, aged),
    st.lists(path_manifests, max_size=4),
    left_outs,
    st.integers(0, 9),
    st.none() | st.builds(Aged, counts, texts, texts),
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


def test_long_names_that_no_manifest_has_room_for_are_cut_and_still_counted() -> None:
    """A letter with an accent takes six bytes, so that 10,000 names on a dying disk did not fit, and none was read."""
    name = f"/srv/docs/{'Marchés publics/Pièces écrites/' * 10}"
    left_out = tuple(LeftOut(f"{name}{number}", "EIO") for number in range(10_000))
    accepted = tuple(Accepted(f"{name}{number}", "EIO", 1, 2) for number in range(10_000, 20_000))
    read = decode(encode(Manifest(PARTIAL.paths, left_out, 10_000, None, accepted, 10_000)))
    assert (read.left_out_count, read.accepted_count, read.paths) == (10_000, 10_000, PARTIAL.paths)
    assert len(read.left_out) > 5_000
    assert read.left_out == left_out[: len(read.left_out)]
    assert read.accepted == accepted[: len(read.accepted)]


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
        {"paths": [["/srv/../etc", "read", 1, 1, ""]]},
        {"paths": [["/srv\0", "read", 1, 1, ""]]},
        {"paths": [["/srv", "read", 2**63, 1, ""]]},
        {"left_out_count": 10**30},
        {"left_out": [["/a", "EIO"]] * 10_001, "left_out_count": 10_001},
        {"accepted": [["/a", "EIO", 10**12, 1]], "accepted_count": 1},
        {"aged": "x" * 1_000_000},
        {"aged": [-1, "", ""]},
    ],
)
def test_a_manifest_of_another_form_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(IntegrityError, match="malformed") as told:
        decode(_changed(**changes))
    assert len(str(told.value)) < 200


@pytest.mark.parametrize("name", ["/a\0b", "../keys/sign", "/srv/../keys", "/\ud800", "/" + "x" * 20_000])
def test_a_name_that_no_file_has_is_counted_and_looked_for_nowhere(name: str) -> None:
    found = decode(_changed(left_out=[["/srv/a", "EIO"], [name, "EIO"]], left_out_count=2))
    assert found.left_out[0] == LeftOut("/srv/a", "EIO")
    assert (found.left_out[1].path, found.left_out_count) == ("", 2)
    assert len(found.left_out[1].reason) < 100


@pytest.mark.parametrize("format_", [0, 2, True, "1", None])
def test_a_manifest_of_a_later_format_asks_for_an_upgrade(format_: object) -> None:
    with pytest.raises(Refused, match="this version reads format 1"):
        decode(_changed(format=format_))


def test_a_manifest_that_is_too_long_is_not_even_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifest, "MANIFEST_BYTES_MAX", 10)
    with pytest.raises(ApplianceError, match="more than the 10 allowed"):
        decode(encode(PARTIAL))
