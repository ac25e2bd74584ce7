"""Where the labs of this machine keep what. Root's alone: the control keys of all labs are here.

/var/lib/appliance-lab/
  lock            held while what the labs share changes: bases, pool, forwarding
  forwarding      what net.ipv4.ip_forward was before the first lab; removed by the last one
  bases/ID.tar    a base image, ID a hash of what it was made from
  pool.img        a btrfs; mounted at pool/ while there is a lab
  pool/bases/ID   the base unpacked; pool/packages/ what nodes once downloaded; pool/labs/LAB/NODE the root of a node
  labs/LAB/       lab.json, lock, key, known_hosts, ssh_config, console/NODE.log; the control folder
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

ROOT = Path("/var/lib/appliance-lab")


@dataclass(frozen=True)
class LabPaths:
    root: Path

    @property
    def state(self) -> Path:
        return self.root / "lab.json"

    @property
    def lock(self) -> Path:
        return self.root / "lock"

    @property
    def key(self) -> Path:
        return self.root / "key"

    @property
    def known_hosts(self) -> Path:
        return self.root / "known_hosts"

    @property
    def ssh_config(self) -> Path:
        return self.root / "ssh_config"

    @property
    def shuttle_log(self) -> Path:
        """The last messages of routers in user space that ended."""
        return self.root / "shuttle.log"

    @property
    def written_by_programs(self) -> tuple[Path, ...]:
        """The folders that playbooks and the build of our package are given to write into."""
        return self.root / "inventory", self.root / "packages"

    @property
    def control_paths(self) -> Path:
        """Where playbooks keep connections to the nodes open."""
        return self.root / "ssh"

    def console(self, node: str) -> Path:
        return self.root / "console" / f"{node}.log"


@dataclass(frozen=True)
class HostPaths:
    """`root` differs from ROOT in tests only."""

    root: Path = ROOT

    @property
    def lock(self) -> Path:
        return self.root / "lock"

    @property
    def forwarding(self) -> Path:
        return self.root / "forwarding"

    @property
    def bases(self) -> Path:
        return self.root / "bases"

    @property
    def image(self) -> Path:
        return self.root / "pool.img"

    @property
    def pool(self) -> Path:
        return self.root / "pool"

    @property
    def labs(self) -> Path:
        return self.root / "labs"

    def lab(self, name: str) -> LabPaths:
        return LabPaths(self.labs / name)

    def known_labs(self) -> list[str]:
        """The labs that are up or were left by a crash."""
        return sorted(path.parent.name for path in self.labs.glob("*/lab.json"))
