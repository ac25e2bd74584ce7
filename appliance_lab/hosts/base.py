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
from appliance.host.disks.mounts import unmount_below
from appliance.host.files import make_private_folder

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
TARGETS = "$(REPO_URI)|$(CODENAME)|$(COMPONENT)|$(ORIGIN)|$(SIGNED_BY)"
MIRROR_LIST = "mirror+file:"
BUILD_SECONDS_MAX, SECONDS_MAX = 1800.0, 300.0
RECIPE = 1  # raise it when the same inputs must give another image
PROXY_VARIABLES = ("http_proxy", "https_proxy", "no_proxy")
_MAKING = "making"
# Killed ourselves, we can end nothing any more: the kernel then asks the maker to clean up and end.
_WITH_US = ("setpriv", "--pdeathsig", "TERM")
# Lists stay in, so that a node installs without asking for them; host keys are made on each node.
_HOOK = 'rm -f "$1"/etc/ssh/ssh_host_*; : >"$1/etc/machine-id"; rm -f "$1/etc/hostname" "$1/etc/resolv.conf"'


@dataclass(frozen=True)
class Inputs:
    """All that decides what is in the image; `sources` are deb822 stanzas, `options` lines of apt.conf."""

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
    asks = ("apt-get", "indextargets", "--format", TARGETS, "Created-By: Packages")
    told = run(asks, timeout_seconds=SECONDS_MAX, check=True)
    sources = usable_sources(told.stdout.decode(), SUITE)
    if not sources:
        raise NotFound(
            f"apt on this machine knows no packages of Debian {SUITE} that nodes could fetch by http or https.",
            where="/etc/apt",
            remedy="Type `apt-get update`. Where apt has no such source, name one first, as `man sources.list` says.",
        )
    dumped = run(("apt-config", "dump"), timeout_seconds=SECONDS_MAX, check=True).stdout.decode()
    return Inputs(SUITE, PACKAGES, sources, (*apt_options(dumped), *proxy_options(environment)))


def usable_sources(told: str, suite: str) -> tuple[str, ...]:
    """The sources of Debian's `suite` that nodes can reach too, from what apt says of its own in the form TARGETS.

    However they are written, in one line or as deb822, by codename or as "stable", apt has understood them; it tells
    those whose lists it has fetched. () where `suite` itself is not among them.
    """
    found: dict[tuple[str, str, str], dict[str, None]] = {}
    for line in told.splitlines():
        match line.split("|"):  # else it is somebody else's, or belongs to a key that is written into its source
            case address, codename, component, "Debian", key if codename.split("-")[0] == suite:
                if reachable := _reachable(address):
                    found.setdefault((codename, reachable, key), {})[component] = None
    if suite not in {codename for codename, _, _ in found}:
        return ()
    return tuple(_stanza(*source, tuple(components)) for source, components in found.items())


def apt_options(dumped: str) -> tuple[str, ...]:
    """Return the settings of `apt-config dump` on proxies, dates and retries, as lines of apt.conf."""
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


def _reachable(address: str) -> str:
    """`address` as a node can use it, or ""; of a list of mirrors, as Debian's cloud images have one, the first."""
    if address.startswith(MIRROR_LIST):
        lines = Path(address.removeprefix(MIRROR_LIST).rstrip("/")).read_text().splitlines()
        address = next((words[0] for words in map(str.split, lines) if words and _by_http(words[0])), "")
    return address if _by_http(address) else ""


def _by_http(address: str) -> bool:
    return address.startswith(("http://", "https://"))


def _stanza(codename: str, address: str, key: str, components: tuple[str, ...]) -> str:
    lines = ["Types: deb", f"URIs: {address}", f"Suites: {codename}", f"Components: {' '.join(components)}"]
    # Without a file of keys apt believes Debian's own, as nodes have them.
    return "\n".join((*lines, *([f"Signed-By: {key}"] if key.startswith("/") else []))) + "\n"
