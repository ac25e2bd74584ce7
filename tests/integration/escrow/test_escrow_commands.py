"""`appliance escrow` as people and printers meet it: real age, real terminal, real PDF, and no key left about."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import secrets
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from appliance.cli.main import root
from appliance.errors import ApplianceError, IntegrityError, NotFound, Refused, UsageError
from appliance.escrow import age, envelopes, paper_key
from appliance.escrow.envelopes import ServiceKey
from appliance.secret import Secret
from tests.pace import LONG
from tests.worlds.sheets import key_lines, read_sheet

ROOT = Path(__file__).parents[3]
TERRITORY = ROOT / "inventory" / "example" / "territory.yml"
COMMAND = (sys.executable, "-P", "-m", "appliance", "escrow")
TERRITORY_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFh"
REPOSITORY = "20ee" * 16
# Not a constant: the same words in another test that runs meanwhile would look like a leak.
PASSPHRASE = secrets.token_hex(16)
KEY = ServiceKey(Secret(PASSPHRASE.encode()), Secret(f"BORG_KEY {REPOSITORY}\nabcdef\n".encode()))
WAIT_SECONDS = LONG * 20.0

needs_pdf_reader = pytest.mark.skipif(not shutil.which("pdftotext"), reason="needs poppler-utils")
needs_code_reader = pytest.mark.skipif(not shutil.which("zbarimg"), reason="needs zbar-tools")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    folder = tmp_path / "territory"
    folder.mkdir()
    shutil.copy(TERRITORY, folder)
    (folder / "territory.pub").write_text(f"{TERRITORY_KEY} key of the territory\n")
    return folder


def wait_for(what: Callable[[], str | None]) -> str:
    """The first answer of `what` that is none of None and ""."""
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline:
        if answer := what():
            return answer
        time.sleep(0.01)
    raise AssertionError("it did not come in time")


def export(place: Path, sheet: Path, *more: str, type_back: Callable[[list[str]], str]) -> tuple[int, str, str]:
    """Hold the ceremony in a process of its own; return its exit code, its output and the key that was on the sheet."""
    reader, writer = os.pipe()
    words = ("create-key", "--territory", str(place), "--out", str(sheet), "--typed-back-fd", str(reader))
    argv = (*COMMAND, *words, *more)
    temporary = place.parent / "tmp"
    temporary.mkdir(exist_ok=True)
    environment = os.environ | {"HOME": str(temporary), "TMPDIR": str(temporary), "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(argv, pass_fds=(reader,), env=environment, stdout=-1, stderr=-1, text=True) as process:
        os.close(reader)
        key = wait_for(lambda: "\n".join(key_lines(read_sheet(sheet))))
        with os.fdopen(writer, "w") as pipe:
            pipe.write(type_back(key.split("\n")))
        out, err = process.communicate(timeout=WAIT_SECONDS)
    return process.returncode, out + err, "".join(key.split())


def copied(lines: list[str]) -> str:
    return "\n".join(lines) + "\n"


def one_line_in_small_letters(lines: list[str]) -> str:
    return "".join(lines).replace(" ", "").lower() + "\n"


def wrong_twice(lines: list[str]) -> str:
    wrong = copied([*lines[:-1], "QQQQ QQQQ QQ"])
    return wrong + wrong + copied(lines)


def wrong_for_ever(lines: list[str]) -> str:
    return copied([*lines[:-1], "QQQQ QQQQ QQ"]) * 3


@pytest.mark.parametrize("type_back", [copied, one_line_in_small_letters, wrong_twice])
def test_the_ceremony_keeps_the_public_half_of_what_is_on_the_sheet(
    place: Path, tmp_path: Path, type_back: Callable[[list[str]], str]
) -> None:
    sheet = tmp_path / "paper.txt"
    code, output, key = export(place, sheet, "--territory-key", str(place / "territory.pub"), type_back=type_back)
    assert code == 0, output
    assert (place / "recovery.pub").read_text().strip() == age.public_of(Secret(key.encode()))
    assert sheet.stat().st_mode & 0o777 == 0o600
    assert "Communauté de communes des Lisières de l'Oise" in sheet.read_text()
    assert f"{TERRITORY_KEY}\n" in sheet.read_text()
    assert "shred -u" in output
    if type_back is wrong_twice:
        assert output.count("line 5, group 1") == 2


def test_a_key_that_cannot_be_typed_back_leaves_nothing(place: Path, tmp_path: Path) -> None:
    sheet = tmp_path / "paper.txt"
    code, output, _ = export(place, sheet, type_back=wrong_for_ever)
    assert code != 0
    assert "This key is forgotten" in output
    assert not sheet.exists()
    assert not (place / "recovery.pub").exists()


def test_a_person_who_walks_away_leaves_nothing(place: Path, tmp_path: Path) -> None:
    code, _, _ = export(place, tmp_path / "paper.txt", type_back=lambda lines: "")
    assert code != 0
    assert not (tmp_path / "paper.txt").exists()


@needs_pdf_reader
@needs_code_reader
def test_the_pdf_is_one_a4_page_whose_text_and_code_are_the_key(place: Path, tmp_path: Path) -> None:
    sheet = tmp_path / "paper.pdf"
    code, output, key = export(place, sheet, "--territory-key", str(place / "territory.pub"), type_back=copied)
    assert code == 0, output
    text = read_sheet(sheet)
    assert sheet.stat().st_mode & 0o777 == 0o600
    public = (place / "recovery.pub").read_text().strip()
    for words in ("Lisières de l'Oise", public, TERRITORY_KEY, "age -d -i - recovery.age"):
        assert words in text.replace("\N{NO-BREAK SPACE}", " ")
    pages = subprocess.run(("pdfinfo", sheet), check=True, capture_output=True, text=True).stdout
    assert re.search(r"Pages: +1\n", pages)
    assert "(A4)" in pages
    # 100 dots an inch: a mediocre office printer and a telephone.
    subprocess.run(("pdftoppm", "-r", "100", "-gray", "-png", sheet, tmp_path / "page"), check=True)
    picture = next(tmp_path.glob("page*.png"))
    scanned = subprocess.run(("zbarimg", "-q", "--raw", picture), check=True, capture_output=True, text=True).stdout
    assert scanned.strip() == key
    assert age.public_of(Secret(key.encode())) == public


@needs_code_reader
def test_the_code_of_the_text_sheet_reads_too(place: Path, tmp_path: Path) -> None:
    sheet = tmp_path / "paper.txt"
    _, _, key = export(place, sheet, type_back=copied)
    rows = [line.ljust(45)[:45] for line in sheet.read_text().splitlines() if re.fullmatch(r"[ ▀▄█]{45}", line)]
    dark = [[letter in halves for letter in row] for row in rows for halves in ("▀█", "▄█")]
    big = [[module for module in row for _ in range(4)] for row in dark for _ in range(4)]
    pixels = "\n".join(" ".join("1" if module else "0" for module in row) for row in big)
    picture = tmp_path / "code.pbm"
    picture.write_text(f"P1\n{45 * 4} {len(dark) * 4}\n{pixels}\n")
    scanned = subprocess.run(("zbarimg", "-q", "--raw", picture), check=True, capture_output=True, text=True).stdout
    assert scanned.strip() == key


@contextlib.contextmanager
def watched_processes() -> Iterator[set[bytes]]:
    """The texts that anybody on this machine could read meanwhile: command lines and environments of all processes."""
    seen: set[bytes] = set()
    stop = threading.Event()

    def watch() -> None:
        while not stop.is_set():
            for kind in ("cmdline", "environ"):
                for path in Path("/proc").glob(f"[0-9]*/{kind}"):
                    with contextlib.suppress(OSError):
                        seen.add(path.read_bytes())

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield seen
    finally:
        stop.set()
        thread.join()


def test_the_key_is_in_no_command_line_no_environment_and_no_file_but_the_sheet(place: Path, tmp_path: Path) -> None:
    sheet = tmp_path / "paper.txt"
    with watched_processes() as seen:
        code, output, key = export(place, sheet, type_back=copied)
        envelope = envelopes.ensure(tmp_path, "recovery", age.public_of(Secret(key.encode())), KEY)
        result = invoke("open", "--envelope", envelope, "--to", tmp_path / "key", typed=key)
    assert (code, result.exit_code) == (0, 0)
    assert any(b"typed-back-fd" in words for words in seen)
    secret = (key[16:].encode(), key_lines(sheet.read_text())[2].encode(), KEY.passphrase.reveal())
    assert holding(secret, tmp_path) == {sheet, tmp_path / "key" / "passphrase"}
    assert not any(part in words for part in secret for words in (*seen, output.encode(), result.stdout_bytes))


def holding(secret: tuple[bytes, ...], folder: Path) -> set[Path]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path for path in files if any(part in path.read_bytes() for part in secret)}


def test_on_a_terminal_the_sheet_is_cleared_and_typing_has_no_echo(place: Path) -> None:
    terminal, end = pty.openpty()
    argv = ("setsid", "--ctty", *COMMAND, "create-key", "--territory", str(place))
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(argv, stdin=end, stdout=end, stderr=end, env=environment)
    os.close(end)
    seen = ""

    def until(words: str) -> str:
        nonlocal seen
        start = len(seen)
        while words not in seen[start:]:
            seen += os.read(terminal, 65536).decode("utf-8", "replace")
        return seen[start:]

    lines = key_lines(until("Enter clears the screen.").replace("\r", ""))
    assert len(lines) == 5
    os.write(terminal, b"\n")
    typed_from = len(seen)
    for number, line in enumerate(lines, start=1):
        until(f"Line {number} :")
        os.write(terminal, line.lower().encode() + b"\n")
    with contextlib.suppress(OSError):  # how Linux says that the other end of a terminal is closed
        while piece := os.read(terminal, 65536):
            seen += piece.decode("utf-8", "replace")
    os.close(terminal)
    assert process.wait(WAIT_SECONDS) == 0, seen[typed_from:]
    assert "\x1b[3J" in seen[typed_from:]
    assert not any(line in seen[typed_from:].upper() for line in lines)
    assert (place / "recovery.pub").read_text().startswith("age1")


def invoke(*words: str | Path, typed: str | None = None) -> Result:
    """Run a command here, with `typed` on a file descriptor."""
    argv = ["escrow", *(str(word) for word in words)]
    if typed is None:
        return CliRunner().invoke(root, argv)
    reader, writer = os.pipe()
    os.write(writer, typed.encode() + b"\n")
    os.close(writer)
    try:
        return CliRunner().invoke(root, [*argv, "--identity-fd", str(reader)])
    finally:
        os.close(reader)


def test_standard_output_gets_the_sheet_and_nothing_else_so_that_a_printer_can_take_it(place: Path) -> None:
    reader, writer = os.pipe()
    argv = (*COMMAND, "create-key", "--territory", str(place), "--typed-back-fd", str(reader))
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(argv, pass_fds=(reader,), env=environment, stdout=-1, stderr=-1, text=True) as process:
        os.close(reader)
        assert process.stdout is not None
        sheet = ""
        while "Moitié publique" not in sheet:
            sheet += process.stdout.readline()
        with os.fdopen(writer, "w") as pipe:
            pipe.write(copied(key_lines(sheet)))
        rest, errors = process.communicate(timeout=WAIT_SECONDS)
    assert process.returncode == 0, errors
    assert "appliance territory sign" in errors
    assert "appliance territory sign" not in sheet + rest


@pytest.fixture(scope="module")
def sheet_key() -> age.RecoveryKey:
    return age.generate()


@pytest.fixture
def envelope(tmp_path: Path, sheet_key: age.RecoveryKey) -> Path:
    return envelopes.ensure(tmp_path / "envelopes", "recovery", sheet_key.public, KEY)


def text_of(key: age.RecoveryKey) -> str:
    return key.secret.reveal().decode()


def test_verify_says_until_when_and_nothing_secret(envelope: Path, sheet_key: age.RecoveryKey) -> None:
    result = invoke("verify", "--envelope", envelope, typed=text_of(sheet_key).lower())
    assert result.exit_code == 0
    assert re.search(r"Clé testée le \d{4}-\d\d-\d\d .* à retester avant le \d{4}-\d\d-\d\d", result.output)
    assert result.output.index("Clé testée") < result.output.index("Key tested")
    assert PASSPHRASE not in result.output
    fields = json.loads(invoke("verify", "--json", "--envelope", envelope, typed=text_of(sheet_key)).output)
    assert (fields["repository"], fields["envelope"]) == (REPOSITORY, str(envelope))
    assert fields["test_again"] > fields["tested"]


def test_open_writes_the_key_to_a_private_folder(envelope: Path, sheet_key: age.RecoveryKey, tmp_path: Path) -> None:
    lines = "\n".join(paper_key.lines(sheet_key.secret))
    result = invoke("open", "--envelope", envelope, "--to", tmp_path / "key", "--repository", REPOSITORY, typed=lines)
    assert result.exit_code == 0, result.exception
    assert envelopes.read_key(tmp_path / "key") == KEY
    assert PASSPHRASE not in result.output


def test_open_takes_a_nodes_key_file(envelope: Path, sheet_key: age.RecoveryKey, tmp_path: Path) -> None:
    file = f"# created: 2026-11-25T01:10:09Z\n# public key: {sheet_key.public}\n{text_of(sheet_key)}"
    assert invoke("open", "--envelope", envelope, "--to", tmp_path / "key", typed=file).exit_code == 0


def test_a_dry_run_of_open_writes_nothing(envelope: Path, sheet_key: age.RecoveryKey, tmp_path: Path) -> None:
    result = invoke("open", "--envelope", envelope, "--to", tmp_path / "key", "--dry-run", typed=text_of(sheet_key))
    assert result.exit_code == 0
    assert not (tmp_path / "key").exists()


@pytest.mark.parametrize(
    ("typed", "more", "error", "says"),
    [
        pytest.param(lambda key: key[:-1], (), UsageError, "57 characters", id="a character missing"),
        pytest.param(lambda key: "", (), UsageError, "0 characters", id="nothing typed"),
        pytest.param(lambda key: text_of(age.generate()), (), Refused, "does not open", id="another sheet"),
        pytest.param(lambda key: key, ("--repository", "99" * 32), Refused, "is for repository", id="another service"),
        pytest.param(lambda key: key, ("--envelope", "/nonexistent"), NotFound, "no such file", id="no envelope"),
        pytest.param(
            lambda key: key, ("--envelope", "/proc/version"), IntegrityError, "damaged", id="no envelope at all"
        ),
    ],
)
def test_what_does_not_open_is_refused_with_a_sentence(
    envelope: Path,
    sheet_key: age.RecoveryKey,
    typed: Callable[[str], str],
    more: tuple[str, ...],
    error: type[ApplianceError],
    says: str,
) -> None:
    result = invoke("verify", "--envelope", envelope, *more, typed=typed(text_of(sheet_key)))
    assert isinstance(result.exception, error)
    assert says in str(result.exception)


def test_without_a_terminal_it_says_how_to_give_the_key(envelope: Path, place: Path) -> None:
    assert str(invoke("create-key", "--territory", place).exception).endswith("Give --typed-back-fd 3 3< FILE instead.")
    result = invoke("verify", "--envelope", envelope)
    assert isinstance(result.exception, UsageError)
    assert "--identity-fd 3 3< FILE" in str(result.exception)
    assert isinstance(invoke("verify", "--envelope", envelope, "--identity-fd", "99").exception, UsageError)


def test_a_territory_that_has_a_key_keeps_it_unless_told_otherwise(place: Path) -> None:
    (place / "recovery.pub").write_text("age1old\n")
    result = invoke("create-key", "--territory", place, "--dry-run")
    assert isinstance(result.exception, Refused)
    assert "--replace" in str(result.exception)
    assert invoke("create-key", "--territory", place, "--dry-run", "--replace").exit_code == 0
    assert (place / "recovery.pub").read_text() == "age1old\n"


def test_an_existing_file_is_never_taken_for_the_sheet(place: Path, tmp_path: Path) -> None:
    (tmp_path / "paper.pdf").write_text("the sheet of another territory")
    result = invoke("create-key", "--territory", place, "--out", tmp_path / "paper.pdf")
    assert isinstance(result.exception, Refused)
    assert (tmp_path / "paper.pdf").read_text() == "the sheet of another territory"


def test_a_dry_run_of_export_makes_no_key_and_says_where_it_would_go(place: Path, tmp_path: Path) -> None:
    result = invoke("create-key", "--territory", place, "--out", tmp_path / "paper.pdf", "--dry-run", "--json")
    assert json.loads(result.output) == {
        "schema": 1,
        "sheet": str(tmp_path / "paper.pdf"),
        "public_file": str(place / "recovery.pub"),
        "public": "",
    }
    assert not (tmp_path / "paper.pdf").exists()


@pytest.mark.parametrize(
    ("more", "error"),
    [
        pytest.param(("--out", "/nonexistent/paper.pdf"), NotFound, id="no folder"),
        pytest.param(("--json",), UsageError, id="JSON where the sheet goes"),
        pytest.param(("--territory-key", "/nonexistent"), NotFound, id="no territory key"),
        pytest.param(("--territory-key", "/proc/version"), UsageError, id="no SSH key"),
    ],
)
def test_what_cannot_be_kept_is_refused_before_a_key_is_made(
    place: Path, more: tuple[str, ...], error: type[ApplianceError]
) -> None:
    result = invoke("create-key", "--territory", place, *more)
    assert isinstance(result.exception, error)
    assert "AGE-SECRET" not in result.output
