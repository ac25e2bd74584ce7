"""Ctrl-C at any moment ends a command with its sentence and 130, never with the signal."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from appliance_lab.checkout import appliance_argv, code_folder

IN_AN_EXEC_OF_PYTHON = """
from appliance.cli import main

def run(argv):
    try:
        exec("raise KeyboardInterrupt")
    except KeyboardInterrupt:
        return 130

main.run = run
main.main([])
"""


def press_before_it_starts() -> None:
    """The signal waits, as one that comes while the program is loaded."""
    signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT,))
    os.kill(os.getpid(), signal.SIGINT)


def ended(argv: tuple[str, ...], **more: object) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(code_folder())}
    return subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=60, check=False, **more)  # type: ignore[call-overload,no-any-return]


def test_one_that_comes_while_the_program_is_loaded_is_answered(tmp_path: Path) -> None:
    words = ("--state", str(tmp_path), "backup", "run", "docs-a")
    done = ended((*appliance_argv(), *words), preexec_fn=press_before_it_starts)
    assert done.returncode == 130
    assert done.stderr.endswith(f"To continue, type: appliance {' '.join(words)}\n")


def test_one_that_falls_into_an_exec_of_python_ends_with_130_too() -> None:
    assert ended((sys.executable, "-c", IN_AN_EXEC_OF_PYTHON)).returncode == 130
