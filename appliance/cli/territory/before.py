"""The bundle in force, as a plan is compared with it: only looked at, so any territory key may have signed it."""

from __future__ import annotations

import os
from pathlib import Path

from appliance.cli.arguments import naming, read_file
from appliance.config.load import territory_file
from appliance.trust import signed, sshsig
from appliance.trust.bundle import BYTES_MAX, TYPE, Bundle, read_bundle

NAME = "bundle"


def is_bundle(file: Path) -> bool:
    """Whether `file` looks like one and not like a plan."""
    if not file.is_file() or not os.access(file, os.R_OK):
        return False
    with open(file, "rb") as opened:
        return f'"type": "{TYPE}"'.encode() in opened.read(100)


def read_before(file: Path) -> Bundle:
    """The bundle in `file`; raise IntegrityError when its signer did not sign what is there."""
    raw = read_file(file)
    with naming(file, "a bundle"):
        signer = sshsig.verify(signed.split(raw, TYPE, bytes_max=BYTES_MAX)[1], TYPE, raw[: raw.find(b"\n") + 1])
        return read_bundle(raw, signer, in_force=True)


def beside(place: Path) -> Bundle | None:
    """The bundle in force that lies beside territory.yml; None where there is none."""
    file = territory_file(place).with_name(NAME)
    return read_before(file) if is_bundle(file) else None
