"""etcd behind the certificates that the territory issues: they hold names, never addresses."""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.clock import SystemClock
from appliance.coordination.argv import Certificates
from appliance.coordination.etcd import Etcd
from appliance.coordination.gateway import Voter
from appliance.errors import Unreachable
from appliance.lab.processes.etcd import EtcdProcesses
from appliance.trust import pki
from tests.integration.coordination.worlds import claim, new_service

pytestmark = pytest.mark.usefixtures("runner")
DOMAIN = "test.internal"
SERVER = f"hermitage.{DOMAIN}"


def authority(folder: Path) -> Path:
    """A root, an intermediate of it, and the certificates of two nodes, each with its chain."""
    folder.mkdir()
    now = time.time()
    root_key, key = pki.new_key(), pki.new_key()
    root = pki.make_root(root_key, DOMAIN, now)
    issuer = pki.make_intermediate(root_key, root, pki.make_request(key, "nodes"), DOMAIN, now)
    (folder / "root.pem").write_bytes(pki.to_pem(root))
    for node in ("hermitage", "commune-a"):
        own = pki.new_key()
        request = pki.make_request(own, node)
        issued = pki.issue(key, issuer, request, node, pki.public_of(request), now)
        (folder / f"{node}.pem").write_bytes(pki.to_pem(issued) + pki.to_pem(issuer))
        (folder / f"{node}.key").write_bytes(pki.key_to_pem(own))
    return folder


def context(believes: Path, shows: Path | None) -> ssl.SSLContext:
    made = ssl.create_default_context(cafile=believes / "root.pem")
    if shows is not None:
        made.load_cert_chain(shows / "commune-a.pem", shows / "commune-a.key")
    return made


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return authority(tmp_path_factory.mktemp("pki") / "ours")


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return authority(tmp_path_factory.mktemp("pki") / "theirs")


@pytest.fixture(scope="module")
def voter(ours: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Voter]:
    files = Certificates(ours / "root.pem", ours / "hermitage.pem", ours / "hermitage.key")
    folder = tmp_path_factory.mktemp("etcd")
    with EtcdProcesses(folder, certificates=files, server_name=SERVER, tls=context(ours, ours)) as made:
        yield made.addresses[0]


async def test_a_node_and_a_voter_know_each_other_by_what_the_territory_issued(voter: Voter, ours: Path) -> None:
    client = Etcd((voter,), SystemClock(), context(ours, ours))
    service = new_service()
    holding = await client.acquire(claim(service))
    assert (await client.renew(holding)).revision == holding.revision
    events = client.watch(await client.read(service))
    await anext(events)
    await events.aclose()
    await client.close()


@pytest.mark.parametrize("case", ["shows nothing", "shows a stranger's", "believes another", "another name", "none"])
async def test_anybody_else_gets_no_answer(voter: Voter, ours: Path, theirs: Path, case: str) -> None:
    tls = {
        "shows nothing": context(ours, None),
        "shows a stranger's": context(ours, theirs),
        "believes another": context(theirs, ours),
        "another name": context(ours, ours),
        "none": None,
    }[case]
    name = f"commune-a.{DOMAIN}" if case == "another name" else voter.name
    client = Etcd((Voter(voter.url, name),), SystemClock(), tls)
    with pytest.raises(Unreachable, match="no voter can answer"):
        await client.read("docs-a")
    await client.close()
