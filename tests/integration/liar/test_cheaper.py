"""A property test remembers exactly what it would read again."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import pytest

from appliance.errors import IntegrityError, Refused
from appliance.host.files import write_atomic
from appliance.trust import signed
from tests.integration.liar.cheaper import SMALL_BYTES, make_cheaper


@pytest.fixture(autouse=True)
def cheaper(monkeypatch: pytest.MonkeyPatch) -> None:
    make_cheaper(monkeypatch)


@pytest.mark.parametrize("size", [1, SMALL_BYTES, SMALL_BYTES + 1, 300_000])
def test_a_file_that_was_replaced_or_written_to_is_read_again(tmp_path: Path, size: int) -> None:
    path = tmp_path / "file"
    for number in range(50):
        content = bytes([number]) * size
        write_atomic(path, content) if number % 2 else path.write_bytes(content)
        assert path.read_bytes() == path.read_bytes() == content
    path.unlink()
    with pytest.raises(FileNotFoundError):
        path.read_bytes()


def test_paths_are_those_of_pathlib(tmp_path: Path) -> None:
    for _ in range(2):
        assert str(tmp_path / "a" / "../b" / ".") == f"{tmp_path}/a/../b"
        assert tmp_path / "/etc" == Path("/etc")
        assert type(PurePosixPath(tmp_path) / "a") is PurePosixPath
        assert type(tmp_path / "a") is type(tmp_path)


def test_a_document_that_a_reader_changed_is_read_as_it_was_signed() -> None:
    line = b'{"type": "appliance/grant", "format": 1}\n'
    for _ in range(2):
        fields = signed.parse(line, "appliance/grant")
        assert fields == {"type": "appliance/grant", "format": 1}
        fields["format"] = 2
        with pytest.raises(Refused):
            signed.parse(line, "appliance/grant", (2,))
        with pytest.raises(IntegrityError):
            signed.parse(line, "appliance/receipt")
