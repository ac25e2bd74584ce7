"""One lab for all tests of this folder: services that move between its hosts, at home when a file begins.

Each file finds what the ones before it left: earlier epochs, branches that a person answered, replaced machines.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from appliance_lab.hosts.lab import Lab
from tests.integration.lab.conftest import provisioned_lab
from tests.integration.lab.moving.databases import Databases
from tests.integration.lab.moving.everything import Beside, all_at_home, begin_again
from tests.integration.lab.moving.shares import Shares
from tests.integration.lab.moving.sites import Sites


@pytest.fixture(scope="package")
def lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    with provisioned_lab(request, "moving") as lab:
        all_at_home(lab)
        yield lab


@pytest.fixture(scope="module")
def sites(lab: Lab) -> Sites:
    """All is at home with its first contents, and the standby has a copy of those."""
    made = Sites(lab)
    begin_again(made)
    return made


@pytest.fixture(scope="module")
def beside(sites: Sites) -> Beside:
    return Beside.of(sites.lab)


@pytest.fixture(scope="module")
def databases(sites: Sites) -> Databases:
    return Databases(sites.lab)


@pytest.fixture(scope="module")
def shares(sites: Sites) -> Shares:
    return Shares(sites.lab)
