"""Where a node keeps what: one state folder, the same in process mode and on real hosts.

STATE/
  node.json                 who this node is; pins the territory key; made once by `appliance node init`
  bundle                    the newest accepted territory bundle, a signed document
  keys/                     made here, never leave: sign_ed25519, ssh_ed25519, host_ed25519, age (and .pub of each)
  acme/                     what certbot keeps for a public name of the pages; live/pages/ is its certificate
  tls/                      its certificate, the root and the list of revoked ones, for programs that speak TLS
  services/SERVICE/         a service this node writes, or may open as a trusted standby
    repository/             the borg repository of the present writer
    borg/                   its BORG_BASE_DIR (keyfile, cache, security); one per opened copy
    key/                    keyfile and passphrase, owner only
    envelopes/              its key, sealed to each standby and to the recovery key
    handed.age              its key, sealed to this machine by a standby or by the paper, until it writes the service
    sealed/EPOCH-SEQUENCE/  the newest generation's files, hard-linked
    chain/                  grants, headers, list and receipts of the generations this node sealed
    opened/                 the newest holding laid out as a repository, for reading (standby)
    still.json              the writer's last word that nothing changed, and the receipts for it
    last-boot.json          by which it is told that this machine was perhaps put back or thawed since its last run
    replaced-EPOCH/         repositories that moves put aside; in process mode files, too: replaced-files/
    replaced-trees/         how much of the files that moves put aside is saved, and lists of what may go
    failover.json           what failover must not forget; granted, known-grant, release: its documents; branches/
    proof/                  the holding once more, for verification and drills alone; proofs.json says how they went
    offered/, rehearsing/   what PostgreSQL's account may read of a dump, while it fills a database or drills it
  restores/SERVICE/         restore jobs, what they replaced, undo: apart, since a restore may write every file
  catalogues/SERVICE/       catalogue.db: every name in every version. The portal reads it, and nothing of services/
  accounts/                 on a host /srv/accounts, root's: who works here, hashes of their passwords, what Samba gets
  people/HOME.json          accounts of a node for which this one stands by, until they are taken
  acts/                     signed acts of operators in force here
  sight/SERVICE             the nodes of the service that this node has seen, and those stated to be missed
  sight/SERVICE.exchanged   the last receipt that each peer showed; SERVICE.alarmed: what froze pruning once already
  sight/SERVICE.shown       since when each peer shows that it has what a former replica node still holds
  sight/SERVICE.stills      the last word that each peer showed that nothing changed
  sight/SERVICE.left-behind what peers hold that the present history does not continue
  sight/SERVICE.overtaken   a peer that knows more of it than its writer here
  vault/                    what this node holds for others (on a host /srv/appliance/vault); age.json: its own clock
    SERVICE/                pool/, partial/, generations/
    helpers.json            on a host: where the accounts that seal and check listen
  portal/                   the pages, which write nothing else: sessions, the chained journal of who saw what
    orders/SERVICE/         what people asked for
  portal-work/              their worker, which writes nothing in portal/: what it opened, its own chained journal
    orders/SERVICE/         what it took up of what people asked for, how far that is, and results to download
  journal.jsonl             what happened, one event a line; older ones in journal.jsonl.1 to .8
  voter.json                on a voter: where the etcd beside it listens
  voter-care/               on a voter: care.json says how its store is; TIME.snapshot, copies of the store;
                            grants/SERVICE, the newest grant that its broker judged
  programs.json             in process mode: by which program each service is served here
  watch.json                in process mode, on a node that watches the others: where exporters and Prometheus listen
  failover.jsonl            what failover did here, as `appliance lab check` reads it
  run/                      sshd.pid, agent lock; failover/: leases and what runs, of this boot; measures.json (on a
                            host in /run/appliance-measures)
  machine/                  in process mode, where a node has files of its own: srv/ and the like

On a host, /etc/appliance/state names STATE, and what must outlive an image of it lies on the system's own disk.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

STATE_OF_A_HOST = Path("/etc/appliance/state")
"""One line: the state folder of the node that this host is."""
FOLDER_OF_A_HOST = ("srv", "appliance", "node")
AGENT = "appliance"
"""The account of the agent, and of the program that serves what moves."""
HELPERS = "helpers.json"
MESH_KEY = "mesh"
MEASURES_OF_A_HOST = Path("/run/appliance-measures")
LINEAGE_OF_A_HOST = Path("/var/lib/appliance/lineage")
PROMISES_OF_A_HOST = Path("/var/lib/appliance/promises")
ACCOUNTS_OF_A_HOST = Path("/srv/accounts")


@dataclass(frozen=True)
class RequestFolders:
    """The folders of restore requests for `service`. The pages alone write below `pages`, which nobody else trusts;
    their worker, which may write files of everybody, alone writes below `work`."""

    pages: Path
    work: Path
    service: str

    @property
    def asked(self) -> Path:
        return self.pages / "orders" / self.service

    @property
    def done(self) -> Path:
        return self.work / "orders" / self.service


@dataclass(frozen=True)
class ServiceLayout:
    """`names` and `asked`: folders of what the portal may see, `brought`: of what restores keep; all are apart from the
    rest, or in `root` where nobody shows it."""

    root: Path
    names: Path | None = None
    asked: RequestFolders | None = None
    brought: Path | None = None

    @property
    def repository(self) -> Path:
        return self.root / "repository"

    @property
    def borg_base(self) -> Path:
        return self.root / "borg"

    @property
    def key(self) -> Path:
        return self.root / "key"

    @property
    def envelopes(self) -> Path:
        return self.root / "envelopes"

    @property
    def handed(self) -> Path:
        return self.root / "handed.age"

    @property
    def sealed(self) -> Path:
        return self.root / "sealed"

    @property
    def chain(self) -> Path:
        return self.root / "chain"

    @property
    def opened(self) -> Path:
        return self.root / "opened"

    @property
    def catalogue(self) -> Path:
        return (self.names or self.root) / "catalogue.db"

    @property
    def restores(self) -> Path:
        return self.brought or self.root / "restores"

    @property
    def requests(self) -> RequestFolders:
        return self.asked or RequestFolders(self.root / "portal", self.root / "portal-work", self.root.name)

    @property
    def copy(self) -> Path:
        """The copy that a standby shows for reading, and beside it of which generation that is."""
        return self.root / "copy"

    @property
    def branches(self) -> Path:
        """The branches written here while another node wrote the service: a folder for each epoch."""
        return self.root / "branches"

    @property
    def last_boot(self) -> Path:
        """Which start of the machine made the last run, and how far its clocks were apart then."""
        return self.root / "last-boot.json"

    @property
    def copied(self) -> Path:
        return self.root / "copy.generation"

    @property
    def opening(self) -> Path:
        """Is there while a takeover lays the service's files in place."""
        return self.root / "opening"

    @property
    def lock(self) -> Path:
        return self.root / "lock"


@dataclass(frozen=True)
class NodeLayout:
    root: Path

    @property
    def is_this_host(self) -> bool:
        """Whether the node is the host that this runs on, and not one of many in process mode."""
        return self.root == state_of_this_host()

    @property
    def identity(self) -> Path:
        return self.root / "node.json"

    @property
    def bundle(self) -> Path:
        return self.root / "bundle"

    @property
    def keys(self) -> Path:
        return self.root / "keys"

    @property
    def mesh_key(self) -> Path:
        return self.keys / MESH_KEY

    @property
    def tls(self) -> Path:
        return self.root / "tls"

    @property
    def acme(self) -> Path:
        return self.root / "acme"

    @property
    def vault(self) -> Path:
        """On a host beside the folder, under root's: the agent, which owns the folder, could rename each file in it,
        even one of another owner. The path decides, so that the disk of a host reads the same from another machine."""
        on_host = self.root.parts[-len(FOLDER_OF_A_HOST) :] == FOLDER_OF_A_HOST
        return self.root.parent / "vault" if on_host else self.root / "vault"

    @property
    def ageing(self) -> Path:
        """Where only the account writes that owns what is held: a clock set forward would let it go early."""
        return self.vault / "age.json"

    @property
    def vault_reserve(self) -> Path:
        """Room that is kept back for pruning on a full disk."""
        return self.vault / ".reserve"

    @property
    def helpers(self) -> Path:
        return self.vault / HELPERS

    @property
    def lineage(self) -> Path:
        """Beside the folder, or on another disk, so that an older image of the folder does not bring it along."""
        if self.is_this_host:
            return LINEAGE_OF_A_HOST
        return self.root.with_name(f".{self.root.name}.lineage")

    @property
    def measures(self) -> Path:
        """The last measurements of the agent. On a host they are where the exporter may read them, which cannot enter
        this folder."""
        folder = MEASURES_OF_A_HOST if self.is_this_host else self.run
        return folder / "measures.json"

    @property
    def promises(self) -> Path:
        """The promises of this node's broker by its signatures; where the lineage is, for the same reason."""
        if self.is_this_host:
            return PROMISES_OF_A_HOST
        return self.root.with_name(f".{self.root.name}.promises")

    @property
    def voter(self) -> Path:
        """Where the etcd beside this node listens: on a voter only."""
        return self.root / "voter.json"

    @property
    def watch(self) -> Path:
        """In process mode: the nodes that the dashboards of this node ask, and where; on a host that is the same
        everywhere."""
        return self.root / "watch.json"

    @property
    def voter_maintenance(self) -> Path:
        """etcd status and hourly snapshots, written by the broker (voters only)."""
        return self.root / "voter-care"

    @property
    def machine(self) -> Path:
        """The files of the machine that a node is in process mode, when it has any of its own: what is at /srv/x on a
        host lies below it. Nodes of one machine then share no folder."""
        return self.root / "machine"

    @property
    def failover(self) -> Path:
        """The state of failover in this boot: leases, what runs, which node serves it."""
        return self.root / "run" / "failover"

    @property
    def failover_history(self) -> Path:
        return self.root / "failover.jsonl"

    @property
    def accounts(self) -> Path:
        """The account store. On a host it is root's, outside the folder of the agent, which must not make accounts."""
        folder = ACCOUNTS_OF_A_HOST if self.is_this_host else self.root / "accounts"
        return folder / "accounts.json"

    @property
    def people(self) -> Path:
        return self.root / "people"

    @property
    def last_seen(self) -> Path:
        return self.root / "sight"

    @property
    def acts(self) -> Path:
        return self.root / "acts"

    @property
    def journal(self) -> Path:
        return self.root / "journal.jsonl"

    @property
    def portal(self) -> Path:
        return self.root / "portal"

    @property
    def portal_work(self) -> Path:
        return self.root / "portal-work"

    def requests(self, service: str) -> RequestFolders:
        """The restore requests that people made on the pages."""
        return RequestFolders(self.portal, self.portal_work, service)

    @property
    def run(self) -> Path:
        return self.root / "run"

    @property
    def services(self) -> Path:
        return self.root / "services"

    @property
    def catalogues(self) -> Path:
        return self.root / "catalogues"

    @property
    def restores(self) -> Path:
        return self.root / "restores"

    @property
    def services_reserve(self) -> Path:
        """Room that is kept back for pruning archives on a full disk."""
        return self.services / ".reserve"

    def service(self, name: str) -> ServiceLayout:
        return _service(self, name)


@lru_cache(256)
def _service(node: NodeLayout, name: str) -> ServiceLayout:
    """Kept, since programs that live long ask for it several times a second."""
    return ServiceLayout(node.services / name, node.catalogues / name, node.requests(name), node.restores / name)


def state_of_this_host(named_in: Path = STATE_OF_A_HOST) -> Path | None:
    """The state folder of the node that this host is; None on a machine that is none."""
    try:
        return Path(named_in.read_text().strip())
    except FileNotFoundError:
        return None
