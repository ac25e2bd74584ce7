"""Which folders borg reaches for a verb; pure. Everything else of this machine is closed to it (`host/confined.py`)."""

from __future__ import annotations

from pathlib import Path

from appliance.borg.model import Repository
from appliance.host.confined import Reach

PACKAGED = Path("/usr")


def reach(repository: Repository, words: tuple[str, ...], cwd: Path | None, program: str | None) -> Reach:
    """The repository and its base; what `words` extract to, or save and so only read.

    borg opens the folder above each path that it saves, so names of folders beside it can be listed. A `program` that
    is not Debian's may read everywhere, since its modules and its Python lie where its installer put them.
    """
    writes = (repository.path, repository.base)
    runs = (Path("/"),) if program and not Path(program).is_relative_to(PACKAGED) else ()
    if words[0] == "create" and cwd is not None:
        saved = tuple(cwd / path for path in words[words.index("--") + 2 :])
        return Reach(writes, (*repository.blobs, *saved), tuple({path.parent for path in saved}), runs)
    return Reach((*writes, cwd) if cwd is not None else writes, repository.blobs, runs=runs)
