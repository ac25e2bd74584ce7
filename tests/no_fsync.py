"""A fixture for suites that write thousands of small files: they do not wait for a disk. Power is cut elsewhere."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="module", autouse=True)
def no_fsync() -> Iterator[None]:
    """The order of the writes is tested all the same, where a test says so."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda fd: None)
        yield
