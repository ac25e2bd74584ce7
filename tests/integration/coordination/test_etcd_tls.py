"""etcd behind the certificates that the territory issues: they hold names, never addresses."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.clock import SystemClock
from appliance.coordination.argv import Certificates
from appliance.coordination.etcd import Etcd
from appliance.coordination.gateway import Voter
from appliance.errors import Unreachable
from appliance_lab.processes.etcd import EtcdProcesses
from tests.integration.coordination.authorities import DOMAIN, authority, context, revoked
from tests.integration.coordination.worlds import claim, new_service

pytestmark = pytest.mark.usefixtures("runner")
SERVER = f"hermitage.{DOMAIN}"


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return authority(tmp_path_factory.mktemp("pki") / "theirs")


@pytest.fixture(scope="module")
def listed(papers: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The voter's list of revoked certificates."""
    made = tmp_path_factory.mktemp("listed") / "revoked.pem"
    made.write_bytes(revoked(papers))
    return made


@pytest.fixture(scope="module")
def voter(papers: Path, listed: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Voter]:
    files = Certificates(papers / "root.pem", papers / "hermitage.pem", papers / "hermitage.key", listed)
    folder = tmp_path_factory.mktemp("etcd")
    with EtcdProcesses(folder, certificates=files, server_name=SERVER, tls=context(papers, papers)) as made:
        yield made.addresses[0]


async def test_a_node_and_a_voter_know_each_other_by_what_the_territory_issued(voter: Voter, papers: Path) -> None:
    client = Etcd((voter,), SystemClock(), context(papers, papers))
    service = new_service()
    lease = await client.acquire(claim(service))
    assert (await client.renew(lease)).revision == lease.revision
    events = client.watch(await client.read(service))
    await anext(events)
    await events.aclose()
    await client.close()


@pytest.mark.parametrize("case", ["shows nothing", "shows an outsider's", "believes another", "another name", "none"])
async def test_anybody_else_gets_no_answer(voter: Voter, papers: Path, theirs: Path, case: str) -> None:
    tls = {
        "shows nothing": context(papers, None),
        "shows an outsider's": context(papers, theirs),
        "believes another": context(theirs, papers),
        "another name": context(papers, papers),
        "none": None,
    }[case]
    name = f"commune-a.{DOMAIN}" if case == "another name" else voter.name
    client = Etcd((Voter(voter.url, name),), SystemClock(), tls)
    with pytest.raises(Unreachable, match="no voter can answer"):
        await client.read("docs-a")
    await client.close()


async def test_a_revoked_certificate_opens_nothing_and_a_list_past_its_date_shuts_nobody_else_out(
    voter: Voter, papers: Path, listed: Path
) -> None:
    """At the port of voters nobody comes so far from here: there etcd also asks whether the name is the caller's."""

    async def read(name: str) -> None:
        client = Etcd((voter,), SystemClock(), context(papers, papers, name))
        try:
            await client.read("docs-a")
        finally:
            await client.close()

    await read("commune-b")
    listed.write_bytes(revoked(papers, "commune-b", days_ago=300))
    with pytest.raises(Unreachable, match="no voter can answer"):
        await read("commune-b")
    await read("commune-c")
