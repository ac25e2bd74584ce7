"""The pages of man(1): each command has one, each verb and option is in it, and troff reads them without a warning."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import click
import pytest

from appliance.cli.commands import COMMANDS
from appliance.cli.main import root
from appliance_lab.pages import manual
from appliance_lab.pages.commands import own_options, walk

VERSION = "0.1.0+20261130.gabc1234"


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("man") / "made"
    manual.write(VERSION, folder)
    return folder


def test_each_command_has_its_page_in_the_package_that_brings_it(written: Path) -> None:
    listed = {name: it for name, it in COMMANDS.items() if not (it.now or it.hidden)}
    bench = {f"appliance-{name}.1" for name, it in listed.items() if it.of_the_lab}
    assert {it.name for it in (written / "appliance-lab").iterdir()} == bench
    node = {f"appliance-{name}.1" for name, it in listed.items() if not it.of_the_lab}
    assert {it.name for it in (written / "appliance").iterdir()} == node | {"appliance.1"}


def test_a_page_has_every_verb_with_every_option_and_argument(written: Path) -> None:
    for words, command in walk(root):
        if isinstance(command, click.Group):
            continue
        (file,) = written.glob(f"*/appliance-{words[0]}.1")
        page = file.read_text()
        assert "\\fBappliance " + " ".join(words).replace("-", "\\-") + "\\fR" in page
        for option in own_options(command):
            assert ", ".join(option.opts).replace("-", "\\-") in page, words


def test_troff_reads_each_page_without_a_warning_and_finds_its_name(written: Path) -> None:
    if not (shutil.which("groff") and shutil.which("lexgrog")):
        pytest.skip("groff and man-db are not installed: make setup")
    files = sorted(map(str, written.glob("*/*.1")))
    read = subprocess.run(["groff", "-man", "-Tutf8", "-Kutf8", "-ww", "-z", *files], capture_output=True, text=True)
    assert (read.returncode, read.stderr) == (0, "")
    found = subprocess.run(["lexgrog", *files], capture_output=True, text=True, check=True).stdout
    assert len(re.findall(r': "appliance[a-z-]* - .+"$', found, re.MULTILINE)) == len(files)
    assert f"appliance {VERSION}" in (written / "appliance/appliance.1").read_text().replace("\\-", "-")


def test_signs_of_troff_in_a_sentence_are_printed_as_they_are() -> None:
    assert manual._text("Type `a -b` - it's C:\\x") == r"Type \fBa \-b\fR \- it\(aqs C:\ex"
    assert manual._text(".TH is a word") == r"\&.TH is a word"


def test_lines_that_a_help_keeps_stay_lines() -> None:
    assert list(manual._paragraphs("One\ntwo.\n\n\b\na  b\nc")) == [".PP", "One two.", ".PP", ".nf", "a  b", "c", ".fi"]
