"""The base image: a Debian as its installer leaves it, and nothing of ours. Made once for each set of inputs."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from appliance.errors import NotFound
from appliance.host.command import run
from appliance.host.files import make_private_folder
from appliance.host.mounts import unmount_below

SUITE = "trixie"
PACKAGES = (
    "systemd",
    "systemd-sysv",
    "dbus",
    "openssh-server",
    "python3",
    "python3-apt",
    "iproute2",
    "nftables",
    "ca-certificates",
    "debian-archive-keyring",
)
SOURCES = Path("/etc/apt/sources.list.d")
BUILD_SECONDS_MAX = 1800.0
RECIPE = 1  # raise it when the same inputs shall give another image
PROXY_VARIABLES = ("http_proxy", "https_proxy", "no_proxy")
_MAKING = "making"
# Killed ourselves, we can end nothing any more: the kernel then asks the maker to clean up and end.
_WITH_US = ("setpriv", "--pdeathsig", "TERM")
# Lists stay in, so that a node installs without asking for them; host keys are born on each node.
_HOOK = 'rm -f "$1"/etc/ssh/ssh_host_*; : >"$1/etc/machine-id"; rm -f "$1/etc/hostname" "$1/etc/resolv.conf"'


@dataclass(frozen=True)
class Inputs:
    """All that decides what is in the image; `sources` are deb822 texts, `options` lines of apt.conf."""

    suite: str
    packages: tuple[str, ...]
    sources: tuple[str, ...]
    options: tuple[str, ...]
    recipe: int = RECIPE

    @property
    def identity(self) -> str:
        """A short hash of all of it."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:16]


def read_inputs(environment: Mapping[str, str] = os.environ) -> Inputs:
    """This machine's own package sources and apt settings; raise NotFound when it has no source that a node can use."""
    sources = tuple(
        text for path in sorted(SOURCES.glob("*.sources")) if (text := usable_sources(path.read_text(), SUITE))
    )
    if not sources:
        raise NotFound(
            f"no package source of this machine offers {SUITE}.",
            where=str(SOURCES),
            remedy="The lab copies its sources from there: add a debian.sources with http or https addresses.",
        )
    dumped = run(("apt-config", "dump"), timeout_seconds=30, check=True).stdout.decode()
    return Inputs(SUITE, PACKAGES, sources, (*apt_options(dumped), *proxy_options(environment)))


def usable_sources(text: str, suite: str) -> str:
    """The stanzas of a .sources file that nodes can reach too: over the network, of `suite`; "" when there is none."""
    stanzas = [stanza.strip() for stanza in text.split("\n\n")]
    return "\n\n".join(stanza for stanza in stanzas if _usable(stanza, suite)) + "\n" if stanzas else ""


def apt_options(dumped: str) -> tuple[str, ...]:
    """What `apt-config dump` says of proxies, dates and retries, as lines of apt.conf."""
    wanted = ("Acquire::http::Proxy", "Acquire::https::Proxy", "Acquire::Check-", "Acquire::Retries")
    return tuple(line for line in dumped.splitlines() if line.startswith(wanted) and not line.endswith('"";'))


def proxy_options(environment: Mapping[str, str]) -> tuple[str, ...]:
    """The proxy that the environment names, as lines of apt.conf."""
    found = {scheme: environment.get(f"{scheme}_proxy", "") for scheme in ("http", "https")}
    return tuple(f'Acquire::{scheme}::Proxy "{value}";' for scheme, value in found.items() if value)


def make(inputs: Inputs, image: Path, on_line: Callable[[str], None]) -> None:
    """Make the tar file `image`, whole or not at all; `on_line` gets each line that the maker says.

    All that is unfinished lies in one folder beside it, which the next one, or `sweep`, takes away.
    """
    sweep(image.parent)
    folder = make_private_folder(image.parent / _MAKING)
    unfinished = folder / image.name
    proxies = {name: os.environ[name] for name in PROXY_VARIABLES if name in os.environ}
    try:
        run(
            (*_WITH_US, *mmdebstrap_argv(inputs, unfinished, _write_sources(inputs, folder))),
            timeout_seconds=BUILD_SECONDS_MAX,
            env={**proxies, "TMPDIR": str(folder)},
            on_stderr_line=on_line,
            check=True,
        )
        unfinished.rename(image)
    finally:
        sweep(image.parent)


def sweep(bases: Path) -> None:
    """Take away what a killed maker left in the folder of base images."""
    unmount_below(bases / _MAKING)
    shutil.rmtree(bases / _MAKING, ignore_errors=True)


def mmdebstrap_argv(inputs: Inputs, image: Path, source_files: tuple[Path, ...]) -> tuple[str, ...]:
    """The command line that makes `image`."""
    options = (*inputs.options, 'APT::Keep-Downloaded-Packages "true";', 'Acquire::Languages "none";')
    return (
        "mmdebstrap",
        "--mode=root",
        "--variant=minbase",
        "--format=tar",
        f"--include={','.join(inputs.packages)}",
        "--skip=cleanup/apt/lists",
        *(f"--aptopt={option}" for option in options),
        f"--customize-hook={_HOOK}",
        inputs.suite,
        str(image),
        *map(str, source_files),
    )


def _write_sources(inputs: Inputs, folder: Path) -> tuple[Path, ...]:
    paths = tuple(folder / f"{i}.sources" for i in range(len(inputs.sources)))
    for path, text in zip(paths, inputs.sources, strict=True):
        path.write_text(text)
    return paths


def _usable(stanza: str, suite: str) -> bool:
    fields = dict(line.split(":", 1) for line in stanza.splitlines() if ":" in line and not line.startswith(("#", " ")))
    reachable = all(address.startswith(("http://", "https://")) for address in fields.get("URIs", "").split())
    suites = fields.get("Suites", "").split()
    return bool(suites) and reachable and all(it.split("-")[0] == suite for it in suites)
