"""A territory is upgraded node by node: a format is sealed once all nodes that must hold it showed that they read
it."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.backup.peers.readers import check_reads, note_readers, replica_nodes_read
from appliance.errors import Refused
from appliance.host.layout import ServiceLayout

GOLDEN = Path(__file__).parents[2] / "golden"
OLD, NEW = (GOLDEN / "format-1/generation").read_bytes(), (GOLDEN / "format-2/generation").read_bytes()


@pytest.fixture
def layout(tmp_path: Path) -> ServiceLayout:
    return ServiceLayout(tmp_path / "docs-a")


def test_before_anybody_was_asked_no_holder_reads_the_later_format(layout: ServiceLayout) -> None:
    assert not replica_nodes_read(layout, 2)


def test_one_holder_of_a_former_version_or_never_heard_keeps_the_former_format(layout: ServiceLayout) -> None:
    note_readers(layout, ("hermitage", "commune-b"), {"hermitage": 2})
    assert not replica_nodes_read(layout, 2)
    note_readers(layout, ("hermitage", "commune-b"), {"commune-b": 1})
    assert not replica_nodes_read(layout, 2)
    note_readers(layout, ("hermitage", "commune-b"), {"commune-b": 2})
    assert replica_nodes_read(layout, 2)


def test_a_holder_that_is_silent_counts_as_what_it_showed_last(layout: ServiceLayout) -> None:
    note_readers(layout, ("hermitage",), {"hermitage": 2})
    note_readers(layout, ("hermitage",), {})
    assert replica_nodes_read(layout, 2)


def test_a_holder_that_takes_the_place_of_another_is_waited_for(layout: ServiceLayout) -> None:
    note_readers(layout, ("hermitage",), {"hermitage": 2})
    note_readers(layout, ("hermitage", "commune-c"), {"hermitage": 2})
    assert not replica_nodes_read(layout, 2)


def test_a_node_that_was_put_back_to_a_former_version_is_believed(layout: ServiceLayout) -> None:
    note_readers(layout, ("hermitage",), {"hermitage": 2})
    note_readers(layout, ("hermitage",), {"hermitage": 1})
    assert not replica_nodes_read(layout, 2)


def test_a_record_that_is_damaged_counts_as_a_former_version(layout: ServiceLayout) -> None:
    note_readers(layout, ("hermitage",), {"hermitage": 2})
    (layout.root / "readers.json").write_text("[1")
    assert not replica_nodes_read(layout, 2)


def test_a_peer_that_does_not_read_a_header_is_not_sent_it() -> None:
    check_reads("hermitage", 1, [OLD])
    check_reads("hermitage", 2, [OLD, NEW.decode()])
    with pytest.raises(Refused, match="hermitage reads headers of generations up to format 1"):
        check_reads("hermitage", 1, [OLD, NEW])
