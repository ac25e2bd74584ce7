"""The worker of the pages wakes at each request placed and each undo asked for, in either folder."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from appliance.host.layout import NodeLayout
from appliance.portal.worker import _asked


@pytest.fixture
def order(tmp_path: Path) -> Path:
    folder = NodeLayout(tmp_path).portal / "orders" / "lucie" / "r1"
    folder.mkdir(parents=True)
    os.utime(folder, ns=(1, 1))
    return folder


def test_a_node_without_requests_has_nothing_to_do(tmp_path: Path) -> None:
    assert _asked(tmp_path) == {}


def test_a_file_that_comes_into_a_request_is_seen_and_nothing_else_of_it_is_read(tmp_path: Path, order: Path) -> None:
    before = _asked(tmp_path)
    assert before == {str(order): 1}
    (order / "undo").touch()
    assert _asked(tmp_path) != before


def test_a_request_of_another_person_and_one_of_the_worker_are_seen(tmp_path: Path, order: Path) -> None:
    others = [order.parent.parent / "jean" / "r2", NodeLayout(tmp_path).portal_work / "orders" / "lucie" / "r3"]
    for other in others:
        other.mkdir(parents=True)
    assert set(_asked(tmp_path)) == {str(order), *map(str, others)}


def test_a_file_among_the_folders_is_no_request(tmp_path: Path, order: Path) -> None:
    (order.parent / "note").touch()
    (order.parent.parent / "note").touch()
    assert set(_asked(tmp_path)) == {str(order)}
