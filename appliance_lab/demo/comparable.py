"""The parts of somebody's own documents in which a restore can be compared with them.

borg keeps times from 1970 to 2038 (`safe_ns` in its helpers/time.py), and gives the nearest one for others. A file that
somebody changes while it is saved comes back as it was at a moment that nobody knows.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

from appliance.units import DAY
from appliance_lab.checkers.tree_record import Difference, Record, compare

NANOSECONDS = 1_000_000_000
TIME_NS_MAX = (2**31 - 1 - 2 * DAY) * NANOSECONDS
CLOCK_STEP_NS = 50_000_000
"""A file system writes down the time of the last tick of the kernel, which is a little earlier than ours."""


def times_not_kept(record: Record) -> tuple[str, ...]:
    """The paths whose time of change borg cannot keep."""
    return tuple(path for path, entry in record.entries.items() if nearest_kept(entry.mtime_ns) != entry.mtime_ns)


def nearest_kept(mtime_ns: int) -> int:
    return min(max(mtime_ns, 0), TIME_NS_MAX)


def changed_since(root: Path, moment_ns: int, taken: Record | None = None) -> frozenset[str]:
    """Relative paths of all below `root` that somebody changed at `moment_ns` or later, in any way; "." for itself.

    What was `taken` before and is gone was changed, too.
    """
    found = {path for path in (taken.entries if taken else ()) if not os.path.lexists(root / path)}
    for folder, folders, names in os.walk(root):
        for path in (folder, *(os.path.join(folder, name) for name in (*folders, *names))):
            try:
                changed = os.lstat(path).st_ctime_ns >= moment_ns - CLOCK_STEP_NS
            except FileNotFoundError:
                changed = True
            except OSError:
                continue
            if changed:
                found.add(os.path.relpath(path, root))
    return frozenset(found)


def without_changed(record: Record, changed: Collection[str]) -> Record:
    """`record`, which is no measure for the paths that were `changed` while it was taken, or that went."""
    left_out = {*record.left_out, *((path, "changed meanwhile") for path in changed)}
    entries = {path: entry for path, entry in record.entries.items() if path not in changed}
    return Record(record.as_root, entries, tuple(sorted(left_out)))


def differences(before: Record, after: Record, changed: Collection[str] = ()) -> tuple[Difference, ...]:
    """Every difference, without two that break no promise: a time that borg cannot keep, if it is the nearest one that
    it can, and what came into a folder that was `changed` while it was saved."""
    entries = dict(before.entries)
    for path in times_not_kept(before):
        back = after.entries.get(path)
        if back is not None and back.mtime_ns == nearest_kept(entries[path].mtime_ns):
            entries[path] = replace(entries[path], mtime_ns=back.mtime_ns)
    found = compare(Record(before.as_root, entries, before.left_out), after)
    return tuple(it for it in found if not (it.what == "added" and (os.path.dirname(it.path) or ".") in changed))
