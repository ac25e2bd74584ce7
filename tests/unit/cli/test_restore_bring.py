"""Where a restore may go is looked at before anything is opened."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.cli.restore.bring import check_place
from appliance.errors import UsageError


@pytest.mark.parametrize("below", ["", "deep/er"])
def test_a_file_is_no_folder(below: str, tmp_path: Path) -> None:
    (tmp_path / "hostname").write_text("a")
    with pytest.raises(UsageError, match=r"hostname is a file, not a folder\. Name a folder"):
        check_place(tmp_path / "hostname" / below, False)


def test_nothing_can_be_stored_where_there_is_no_disk() -> None:
    with pytest.raises(UsageError, match=r"nothing can be stored below /proc\. Name a folder on a disk"):
        check_place(Path("/proc/foo"), False)


def test_a_folder_that_is_not_there_yet_will_do(tmp_path: Path) -> None:
    check_place(tmp_path / "not" / "there", False)
    check_place(None, True)
