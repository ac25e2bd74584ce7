"""Our catalogues as GNU gettext reads them, which nothing of ours compiles."""

from __future__ import annotations

import shutil
import subprocess
from gettext import GNUTranslations
from pathlib import Path

import pytest

from appliance.cli.language.catalogue import LOCALE, parse

CATALOGUES = sorted(LOCALE.glob("*/LC_MESSAGES/*.po"))


@pytest.mark.skipif(not shutil.which("msgfmt"), reason="compiles catalogues: apt install gettext")
@pytest.mark.parametrize("file", CATALOGUES, ids=lambda it: it.name)
def test_gettext_finds_no_mistake_and_reads_the_same_texts(file: Path, tmp_path: Path) -> None:
    made = tmp_path / "made.mo"
    done = subprocess.run(
        ["msgfmt", "--check-format", f"--output-file={made}", str(file)], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
    with made.open("rb") as opened:
        theirs = GNUTranslations(opened)
    ours = parse(file.read_text())
    assert len(ours) > 10
    assert {english: theirs.gettext(english) for english in ours} == ours
