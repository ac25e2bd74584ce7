"""Archives as somebody makes them who has the key and means harm: real borg, with its own precautions taken out."""

from __future__ import annotations

import io
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

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


Entries = Sequence[tarfile.TarInfo]
HOSTILE: Mapping[str, Callable[[Path], Entries]] = {
    "symlink-and-file-below": lambda keys: [symlink("a", keys), file("a/sign")],
    "file-below-before-its-symlink": lambda keys: [file("a/sign"), symlink("a", keys)],
    "folder-that-becomes-a-symlink": lambda keys: [folder("a"), symlink("a", keys), file("a/sign")],
    "deep-below-a-symlink": lambda keys: [folder("x"), symlink("x/a", keys.parent), file("x/a/keys/sign")],
    "symlink-to-a-symlink": lambda keys: [symlink("a", keys.parent), symlink("b", "a/keys"), file("b/sign")],
    "hard-link-of-a-symlink": lambda keys: [symlink("a", keys), hardlink("b", "a"), file("b/sign")],
    "hard-link-to-outside": lambda keys: [hardlink("a", "../keys/sign")],
    "hard-link-through-a-symlink": lambda keys: [symlink("a", keys), hardlink("b", "a/sign")],
    "hard-link-back-in-and-out": lambda keys: [folder("x"), hardlink("x/a", "x/../../keys/sign")],
    "up": lambda keys: [file("../keys/sign")],
    "in-and-up": lambda keys: [folder("x"), file("x/../../keys/sign")],
    "absolute": lambda keys: [file(str(keys / "sign"))],
    "name-that-no-file-has": lambda keys: [file("a\u2400b")],
    "name-with-a-line-break": lambda keys: [symlink("a\nb", keys), file("a\nb/sign")],
    "name-that-is-not-utf-8": lambda keys: [symlink("a\udcff", keys), file("a\udcff/sign")],
}
