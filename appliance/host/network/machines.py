"""Where a machine is asked by SSH: at its address, or where this account's ssh_config leads instead."""

from __future__ import annotations

from dataclasses import dataclass

from appliance.host.command import run

READ_SECONDS_MAX = 10.0


@dataclass(frozen=True)
class Machine:
    """Where a node answers, and its host key line "ssh-ed25519 AAAA..."; "" for one that was never met. `through` is
    another machine that opens the connection to it."""

    name: str
    address: str
    port: int
    host_key: str
    through: Machine | None = None

    @property
    def place(self) -> str:
        return f"{self.address}:{self.port}"

    @property
    def looked_up(self) -> str:
        """The name under which paramiko looks a host key up."""
        return self.address if self.port == 22 else f"[{self.address}]:{self.port}"


def way_to(address: str) -> tuple[str, str]:
    """HostName and ProxyJump of `address`, as OpenSSH reads its settings; "" where there is no jump."""
    return read_way(
        run(("ssh", "-G", "--", address), timeout_seconds=READ_SECONDS_MAX, check=True).stdout.decode(), address
    )


def read_way(text: str, address: str) -> tuple[str, str]:
    """The same from what `ssh -G` printed."""
    settings = dict(line.split(" ", 1) for line in text.splitlines() if " " in line)
    jump = settings.get("proxyjump", "none")
    return settings.get("hostname", address), "" if jump == "none" else jump
