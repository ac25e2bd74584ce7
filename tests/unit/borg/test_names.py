"""The number in an archive's name, not the clock of who made it, says which came last."""

from __future__ import annotations

import pytest

from appliance.borg import answers
from appliance.borg.names import archive_name, branch_name, branch_of, number_of


@pytest.mark.parametrize(
    ("name", "number"),
    [
        (archive_name("docs-a", "2.7", "2026-11-25T08:00:00Z", 123_456_789), (2, 7)),
        (archive_name("a-1.2-3", "65534.9999999999", "2026-11-25T08:00:00Z", 5), (65534, 9_999_999_999)),
        ("docs-a-2026-11-25T08:00:00Z-123456", (0, 0)),
        ("by-hand", (0, 0)),
    ],
)
def test_the_number_is_read_back(name: str, number: tuple[int, int]) -> None:
    assert number_of(name) == number


def test_archives_come_in_the_order_of_their_numbers_then_of_their_times() -> None:
    made = (
        ("by-hand", "2030-01-01"),
        ("docs-2.9-2031-01-01T00:00:00Z-000001", "2031-01-01"),
        ("docs-2.10-2026-11-25T08:00:00Z-000009", "2026-11-25"),
        ("docs-2.10-2026-11-25T09:00:00Z-000001", "2026-11-26"),
        ("docs-4.1-2025-11-25T08:00:00Z-000003", "2025-11-25"),
    )
    listed = ",".join(f'{{"name": "{name}", "id": "x", "start": "{day}T00:00:00"}}' for name, day in reversed(made))
    found = answers.archives(f'{{"archives": [{listed}]}}'.encode())
    assert [archive.name for archive in found] == [name for name, _ in made]


def test_branches_are_in_no_list_of_a_services_archives_and_have_one_of_their_own() -> None:
    branch = branch_name("docs-a", 2, "2026-11-25T08:00:00Z")
    own = archive_name("docs-a", "4.1", "2026-11-25T08:00:00Z", 5)
    listed = ",".join(f'{{"name": "{name}", "id": "x", "start": "2026-11-25T00:00:00"}}' for name in (branch, own))
    said = f'{{"archives": [{listed}]}}'.encode()
    assert [it.name for it in answers.archives(said)] == [own]
    assert [it.name for it in answers.archives(said, branches=True)] == [branch]
    assert (branch_of(branch), branch_of(own), branch_of("by-hand")) == (2, None, None)
