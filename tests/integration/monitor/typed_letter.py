"""`appliance monitor test-letter`, typed with settings of a test."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from appliance.host.command import Result, run
from appliance_lab.checkout import appliance_argv, code_folder


def typed(folder: Path, settings: dict[str, Any] | str, *words: str) -> Result:
    file = folder / "outbox"
    file.write_text(settings if isinstance(settings, str) else json.dumps(settings))
    argv = (*appliance_argv(), "--json", "monitor", "test-letter", "--settings", str(file), *words)
    return run(argv, timeout_seconds=120, env={"PYTHONPATH": str(code_folder())})
