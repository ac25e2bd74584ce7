"""Which of many paths an archive has, without its whole listing."""

from __future__ import annotations

from collections.abc import Sequence

from appliance.borg import argv
from appliance.borg.client import Borg
from appliance.borg.resume import batches


def paths_in_archive(borg: Borg, archive: str, paths: Sequence[str]) -> frozenset[str]:
    """Those of `paths` that are in `archive`; one whose name is not UTF-8 is never found."""
    found: set[str] = set()
    for patterns in batches([argv.full(path) for path in paths]):
        found |= {item.path for item in borg.matching(archive, patterns)}
    return frozenset(found.intersection(paths))
