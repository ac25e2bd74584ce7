"""The measurements of the agent's last look, written down for the program that serves them: the exporter only reads
this file.

The agent has no open port, and the process that has one knows no key but that of its certificate.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import astuple
from pathlib import Path

from appliance.host.files import write_atomic
from appliance.monitor.metrics import Sample

FORMAT = 1
READABLE = 0o640


def save(path: Path, samples: Iterable[Sample]) -> None:
    content = {"format": FORMAT, "samples": [astuple(sample) for sample in samples]}
    write_atomic(path, json.dumps(content).encode(), mode=READABLE)


def load(path: Path) -> tuple[Sample, ...]:
    """Return what was written last; nothing before the agent has looked, and nothing of another version."""
    try:
        content = json.loads(path.read_bytes())
        if content["format"] != FORMAT:
            return ()
        return tuple(Sample(name, tuple(labels), float(value)) for name, labels, value in content["samples"])
    except (OSError, ValueError, KeyError, TypeError):
        return ()
