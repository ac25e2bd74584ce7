"""The list of previous versions by smbclient is read as a clerk's PC shows it: only those that the file was in."""

from __future__ import annotations

from appliance_lab.hosts.pc import read_versions

TOLD = r"""altname: DVD9LA~U.TXT
write_time:     Wed Nov 25 21:48:10 2026 UTC
stream: [::$DATA], 6 bytes
@GMT-2026.11.25-21.48.09
write_time:     Wed Nov 25 21:48:09 2026 UTC
size: 30
@GMT-2026.11.25-21.46.33
@GMT-2026.11.25-20.46.33
pathinfo(@GMT-2026.11.25-21.46.33\Conseil d’été\Délibération n° 12.txt) failed: NT_STATUS_OBJECT_PATH_NOT_FOUND
pathinfo(@GMT-2026.11.25-20.46.33\Conseil d’été\Délibération n° 12.txt) failed: NT_STATUS_OBJECT_NAME_NOT_FOUND
"""


def test_a_version_older_than_the_file_is_none_of_its() -> None:
    assert read_versions(TOLD) == ["@GMT-2026.11.25-21.48.09"]


def test_a_version_that_may_not_be_read_is_told_all_the_same() -> None:
    denied = TOLD.replace("PATH_NOT_FOUND", "PATH_SYNTAX_BAD")
    assert read_versions(denied) == ["@GMT-2026.11.25-21.48.09", "@GMT-2026.11.25-21.46.33"]
