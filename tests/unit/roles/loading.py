"""Programs that roles bring to a node and that are no modules of ours."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

ROLES = Path(__file__).parents[3] / "roles"


def load_data_volume() -> ModuleType:
    """The program of the role storage, as a module."""
    return load_file(ROLES / "storage/files/data_volume.py")


def load_file(file: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
