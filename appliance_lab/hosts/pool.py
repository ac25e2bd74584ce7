"""Where the root folders of nodes live: snapshots in a btrfs of ours, or overlays where this machine has no btrfs.

A btrfs lets nodes make subvolumes and snapshots of their own, as real ones do; an overlay does not.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from appliance.errors import ApplianceError
from appliance.host.command import CommandFailed, run
from appliance.host.disks import btrfs
from appliance.host.files import make_private_folder
from appliance.units import GIB
from appliance_lab.hosts.paths import HostPaths

SIZE_BYTES = 40 * GIB
TIMEOUT_SECONDS = 300.0
BTRFS, OVERLAY = "btrfs", "overlay"
ARCHIVES = Path("var/cache/apt/archives")
OURS = "appliance_"  # our own package is another each day


class Pool:
    """The pool of this machine, of the `backend` that was probed."""

    def __init__(self, paths: HostPaths, backend: str) -> None:
        self.paths = paths
        self.backend = backend

    @property
    def packages(self) -> Path:
        return self.paths.pool / "packages"

    def root(self, lab: str, node: str) -> Path:
        """The root folder of a node; nspawn puts a lock file beside it."""
        return self._folder(lab, node) / "root"

    def unfinished(self, lab: str, node: str) -> Path:
        """The folder that becomes the root of a node once it is prepared: a crash before that leaves no half-made
        disk."""
        return self._folder(lab, node) / "unborn"

    def open(self) -> None:
        """Make the pool, or mount it; nothing happens when it is there."""
        make_private_folder(self.paths.pool)
        if self.backend == BTRFS and not self.paths.pool.is_mount():
            if not self.paths.image.exists():
                btrfs.make_image(self.paths.image, SIZE_BYTES)
            btrfs.mount_image(self.paths.image, self.paths.pool)
        for name in ("bases", "packages", "labs"):
            (self.paths.pool / name).mkdir(mode=0o700, exist_ok=True)

    def close(self) -> None:
        """Unmount the pool; its loop device goes with it. The image stays, with bases and packages."""
        if self.paths.pool.is_mount():
            _run("umount", str(self.paths.pool))

    def unpack(self, image: Path, identity: str) -> Path:
        """The base `identity`, unpacked from `image` when it is not there yet."""
        base = self.paths.pool / "bases" / identity
        if not base.exists():
            unfinished = base.with_name(f"{identity}.new")
            self._remove(unfinished)
            self._create(unfinished)
            # Nodes get their /dev from the kernel.
            _run("tar", "-xf", str(image), "-C", str(unfinished), "--exclude=./dev/*", "--numeric-owner", "--xattrs")
            unfinished.rename(base)
        return base

    def has_disk(self, lab: str, node: str) -> bool:
        """Whether the node has a disk, whether it runs or not."""
        return self.root(lab, node).exists()

    def prepare(self, base: Path, lab: str, node: str) -> Path:
        """A folder to be prepared as the root of a node: as in `base`, with the packages that any node downloaded."""
        folder = make_private_folder(self._folder(lab, node))
        self._empty(folder)
        unfinished = self.unfinished(lab, node)
        if self.backend == BTRFS:
            btrfs.snapshot(base, unfinished)
        else:
            for name in ("upper", "work", "unborn"):
                (folder / name).mkdir()
            _overlay(base, unfinished)
        self._lend_packages(unfinished)
        return unfinished

    def install(self, base: Path, lab: str, node: str) -> None:
        """Make the prepared folder the node's root folder."""
        unfinished = self.unfinished(lab, node)
        if self.backend == OVERLAY:
            _run("umount", str(unfinished))
        unfinished.rename(self.root(lab, node))
        self.attach(base, lab, node)

    def attach(self, base: Path, lab: str, node: str) -> None:
        """Make the root folder of a node visible again after this machine restarted."""
        root = self.root(lab, node)
        if self.backend == OVERLAY and not root.is_mount():
            _overlay(base, root)

    def remove(self, lab: str, node: str) -> None:
        """Take the disk of a node away, as one step; what it downloaded stays for others."""
        folder, root = self._folder(lab, node), self.root(lab, node)
        if not folder.is_dir():
            return
        if root.exists():
            self._keep_packages(root)
            if self.backend == OVERLAY and root.is_mount():
                _run("umount", str(root))
            root.rename(folder / "buried")
        self._empty(folder)
        folder.rmdir()
        with contextlib.suppress(OSError):  # the last node of a lab takes the lab's folder along
            folder.parent.rmdir()

    def remove_all(self, lab: str) -> None:
        """Take the disks of all nodes of `lab` away, also of one that was ended half-way."""
        for node in self.with_disk(lab):
            self.remove(lab, node)

    def keep_packages(self, lab: str, node: str) -> None:
        """Lend what the node downloaded to nodes that are made later."""
        self._keep_packages(self.root(lab, node))

    def with_disk(self, lab: str) -> list[str]:
        """The nodes of `lab` that have a disk."""
        folder = self.paths.pool / "labs" / lab
        return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []

    def _folder(self, lab: str, node: str) -> Path:
        return self.paths.pool / "labs" / lab / node

    def _lend_packages(self, root: Path) -> None:
        _copy(self.packages.glob("*.deb"), root / ARCHIVES)

    def _keep_packages(self, root: Path) -> None:
        archives = root / ARCHIVES
        found = (path for path in archives.glob("*.deb") if not path.name.startswith(OURS))
        _copy((path for path in found if not (self.packages / path.name).exists()), self.packages)

    def _create(self, folder: Path) -> None:
        if self.backend == BTRFS:
            btrfs.create(folder)
        else:
            folder.mkdir()

    def _empty(self, folder: Path) -> None:
        for path in folder.iterdir():
            self._remove(path)

    def _remove(self, path: Path) -> None:
        """Whatever is there, by whichever backend it was made."""
        if btrfs.is_subvolume(path):  # Python takes it for a mount too
            btrfs.delete(path)
            return
        if path.is_mount():
            _run("umount", str(path))
        if path.is_dir():
            if self.backend == BTRFS:  # a removal that was ended half-way leaves read-only snapshots in plain folders
                for inner in reversed([*btrfs.subvolumes(path)]):
                    btrfs.delete(inner)
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _overlay(base: Path, place: Path) -> None:
    layers = f"lowerdir={base},upperdir={place.with_name('upper')},workdir={place.with_name('work')}"
    _run("mount", "-t", "overlay", "overlay", "-o", layers, str(place))


def _copy(files: Iterator[Path], to: Path) -> None:
    """On btrfs the copies share their blocks: neither time nor room."""
    words = [str(path) for path in files]
    if words:
        _run("cp", "--reflink=auto", "--preserve=timestamps", "--target-directory", str(to), *words)


def _run(*argv: str) -> None:
    try:
        run(argv, timeout_seconds=TIMEOUT_SECONDS, check=True)
    except CommandFailed as error:
        raise ApplianceError(f"the lab's pool: {error.what}") from error
