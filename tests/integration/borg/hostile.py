"""Archives as somebody makes them who has the key and means harm: real borg, with its own precautions taken out."""

from __future__ import annotations

import io
import subprocess
import sys
import tarfile
from collections.abc import Iterable

from appliance.borg import argv, locks
from appliance.borg.model import Repository

_BORG = """
import sys
import borg.archive, borg.archiver
borg.archive.make_path_safe = lambda path: path.replace("\\u2400", "\\0")
sys.argv[0] = "borg"
borg.archiver.main()
"""


def folder(name: str) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.mode = tarfile.DIRTYPE, 0o755
    return made


def symlink(name: str, target: object) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.linkname, made.mode = tarfile.SYMTYPE, str(target), 0o777
    return made


def hardlink(name: str, first: str) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.linkname, made.mode = tarfile.LNKTYPE, first, 0o644
    return made


def file(name: str, mode: int = 0o644) -> tarfile.TarInfo:
    """Its content is TAKEN."""
    made = tarfile.TarInfo(name)
    made.size, made.mode = len(TAKEN), mode
    return made


TAKEN = b"written by the origin"


def forge(repository: Repository, archive: str, entries: Iterable[tarfile.TarInfo]) -> None:
    """Put `archive` with exactly `entries` into `repository`."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for entry in entries:
            tar.addfile(entry, io.BytesIO(TAKEN) if entry.isreg() else None)
    passphrase = repository.passphrase
    assert passphrase is not None
    environment = {**argv.environment(repository, locks.new_host_id()), "PATH": "/usr/bin:/bin"}
    subprocess.run(
        (sys.executable, "-c", _BORG, "import-tar", argv.location(repository.path, archive), "-"),
        input=packed.getvalue(),
        env={**environment, "BORG_PASSPHRASE": passphrase.reveal().decode()},
        check=True,
    )
