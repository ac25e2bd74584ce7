"""The lock of a process that this one may not see in /proc: as the agent, whose unit has ProtectProc=invisible, and a
borg that root began."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from appliance.borg.locks import new_host_id
from appliance_lab.checkout import code_folder

ASKS = """
import sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from appliance.borg.locks import clear_dead, holders
from appliance.borg.model import Repository
repository = Repository(Path(sys.argv[2]), Path(sys.argv[2]) / "base")
assert not Path("/proc", sys.argv[3]).exists(), "it is seen: nothing is tested"
print([state for _, state in holders(repository)], clear_dead(repository))
"""
HIDDEN = "mount -t proc -o hidepid=invisible proc /proc && exec setpriv --reuid=65534 --regid=65534 --clear-groups"


@pytest.mark.root
def test_a_lock_whose_holder_is_hidden_is_left_alone() -> None:
    with tempfile.TemporaryDirectory() as place, subprocess.Popen(["sleep", "60"]) as holder:
        repository = Path(place)
        repository.chmod(0o777)
        lock = repository / "lock.exclusive"
        lock.mkdir(mode=0o777)
        (lock / f"{new_host_id()}.{holder.pid}-0").touch()
        words = (sys.executable, "-I", "-c", ASKS, str(code_folder()), str(repository), str(holder.pid))
        asked = ("unshare", "--mount", "sh", "-ec", f'{HIDDEN} "$@"', "sh", *words)
        told = subprocess.run(asked, capture_output=True, text=True, timeout=60)
        holder.kill()
        assert (told.stdout, told.stderr) == ("['unknown'] ()\n", "")
        assert len(list(lock.iterdir())) == 1
