"""How a voter's etcd is started, as words. Pure.

Its client port listens where its own agent is and nowhere else, its peer port for the other voters: Debian's 3.5.16
lets any client certificate past its rules, so nobody else gets to talk to it. Members and addresses are in these words,
never only in the store: it must start when nothing else runs yet.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from appliance.units import MIB

QUOTA_BYTES = 256 * MIB
JOINS = {"ETCD_INITIAL_CLUSTER_STATE": "existing"}
"""The environment of the first start of a voter that the others took in: it begins with what they have."""
FIRST_WORDS = "FIRST"
"""The variable of the unit with the words of a first start alone; of two that say the same, etcd obeys the last."""
REVISION_BUMP = 1_000_000_000
"""Beyond all changes that a store can have seen between a snapshot and its loss: 30 years of one a second."""


@dataclass(frozen=True)
class Certificates:
    """PEM files: the authority that a member believes, what it shows, its key, and the list of certificates that open
    nothing any more."""

    authority: Path
    certificate: Path
    key: Path
    revoked: Path


@dataclass(frozen=True)
class Member:
    """One voter: where it keeps its data and listens. `members` gives the peer URL of each, its own included;
    `peer_listen_url` is where it listens for the others when its own URL has a name, to which etcd cannot bind.

    An election begins after `election_beats` heartbeats missed; etcd takes no fewer than five. Its own 100 ms and ten
    are for a data centre. A box wakes at each, and with a lease of 15 s an election of a twelfth of it is right up to a
    round trip of some 100 ms, and leaves a takeover within its bound (record 86). A lease lasts 1.5 elections at least,
    whatever is asked. Without `syncs` a power cut loses what was promised: for tests.
    """

    name: str
    data: Path
    client_url: str
    members: Mapping[str, str]
    certificates: Certificates | None = None
    peer_listen_url: str = ""
    heartbeat_milliseconds: int = 250
    election_beats: int = 5
    syncs: bool = True

    @property
    def others(self) -> list[str]:
        """The other members, by name."""
        return sorted(set(self.members) - {self.name})


def etcd_argv(member: Member, program: str = "etcd") -> tuple[str, ...]:
    """The command line of `member`, the same for its first start and for each later one."""
    peer_url = member.members[member.name]
    return (
        program,
        *("--name", member.name),
        *("--data-dir", str(member.data)),
        *("--listen-client-urls", member.client_url),
        *("--advertise-client-urls", member.client_url),
        *("--listen-peer-urls", member.peer_listen_url or peer_url),
        *("--initial-advertise-peer-urls", peer_url),
        *("--initial-cluster", _cluster(member.members)),
        *("--heartbeat-interval", str(member.heartbeat_milliseconds)),
        *("--election-timeout", str(member.election_beats * member.heartbeat_milliseconds)),
        *("--quota-backend-bytes", str(QUOTA_BYTES)),
        *("--auto-compaction-mode", "periodic"),
        *("--auto-compaction-retention", "1h"),
        *("--log-level", "warn"),
        *(() if member.certificates is None else _tls_argv(member.certificates)),
        *(() if member.syncs else ("--unsafe-no-fsync",)),
    )


def restore_argv(member: Member, snapshot: Path, program: str = "etcdutl") -> tuple[str, ...]:
    """The command line that makes the data of `member` from `snapshot`, the same one for every member.

    Changes after the snapshot are gone, but their revisions were quoted in grants: the store goes on far above them,
    and a watcher from before learns that the store has forgotten that.
    """
    return (
        program,
        *("snapshot", "restore", str(snapshot)),
        *("--name", member.name),
        *("--data-dir", str(member.data)),
        *("--initial-advertise-peer-urls", member.members[member.name]),
        *("--initial-cluster", _cluster(member.members)),
        *("--bump-revision", str(REVISION_BUMP)),
        "--mark-compacted",
    )


def joining(members: Mapping[str, str]) -> str:
    """The environment file of the first start of a voter that the voters `members`, by name, have taken in. While they
    are changed one by one these are others than the bundle's, and etcd begins with the very list that they have."""
    lines = {**JOINS, FIRST_WORDS: f"--initial-cluster {_cluster(members)}"}
    return "".join(f"{name}={value}\n" for name, value in lines.items())


def _cluster(members: Mapping[str, str]) -> str:
    return ",".join(f"{name}={url}" for name, url in sorted(members.items()))


def _tls_argv(files: Certificates) -> tuple[str, ...]:
    """The same certificate towards clients and towards the other voters; both must show one of ours.

    At each new connection etcd compares serials with the list, and nothing else: one that is past its date shuts nobody
    out. Without that file, or where it cannot read it (3.6 will want DER, where 3.5 takes PEM), it lets nobody in.
    """
    return (
        *("--client-cert-auth", "--trusted-ca-file", str(files.authority)),
        *("--client-crl-file", str(files.revoked), "--peer-crl-file", str(files.revoked)),
        *("--cert-file", str(files.certificate), "--key-file", str(files.key)),
        *("--peer-client-cert-auth", "--peer-trusted-ca-file", str(files.authority)),
        *("--peer-cert-file", str(files.certificate), "--peer-key-file", str(files.key)),
    )
