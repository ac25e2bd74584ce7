"""A preview is made by a process that has given up what it does not need; whatever the file does, an answer comes."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import os
import socket
import subprocess
import sys
import tempfile
import threading
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image

from appliance.restore.preview import client
from appliance.restore.preview.client import Previewer
from appliance.restore.preview.model import FILE_BYTES_MAX, Asked, Preview, to_wire
from appliance.restore.preview.worker import answer
from appliance_lab.corpus.draw import Draw
from appliance_lab.corpus.plan import KINDS

ROOT = Path(__file__).parents[3]


def preview(content: bytes, asked: Asked = Asked(), previewer: Previewer | None = None) -> Preview:  # noqa: B008
    with tempfile.TemporaryFile() as file:
        file.write(content)
        file.seek(0)
        return (previewer or Previewer(Path("/nowhere"))).preview(file, asked)


def picture(mode: str, size: tuple[int, int], form: str, **more: object) -> bytes:
    sink = io.BytesIO()
    Image.new(mode, size, 7).save(sink, form, **more)
    return sink.getvalue()


def pdf(pages: int) -> bytes:
    kids = " ".join(f"{number + 3} 0 R" for number in range(pages))
    page = "<</Type/Page/Parent 2 0 R/MediaBox[0 0 200 100]>>"
    objects = ["<</Type/Catalog/Pages 2 0 R>>", f"<</Type/Pages/Kids[{kids}]/Count {pages}>>", *[page] * pages]
    body = "".join(f"{number} 0 obj{text}endobj\n" for number, text in enumerate(objects, 1))
    return f"%PDF-1.4\n{body}trailer<</Root 1 0 R>>\n%%EOF".encode()


@pytest.mark.parametrize(
    ("kind", "shown"),
    [("pdf", "page"), ("docx", "document"), ("odt", "document"), ("txt", "text"), ("jpg", "image"), ("eml", "text")],
)
def test_what_a_town_hall_writes_is_shown(kind: str, shown: str) -> None:
    found = preview(KINDS[kind].make(Draw("preview", kind), 30_000))
    assert (found.kind, found.why, found.cut) == (shown, "", False)
    assert bool(found.picture) == (shown in ("page", "image"))
    assert bool(found.lines) == (shown in ("document", "text"))
    assert "network" not in found.missing, "a namespace of its own is for everybody on Debian"


def test_the_words_of_a_pdf_can_be_compared_and_its_pages_turned() -> None:
    content = KINDS["pdf"].make(Draw("preview"), 30_000)
    assert len(preview(content, Asked(text=True)).lines) > 5
    assert [(it.pages, it.page) for page in (1, 3, 99) for it in [preview(pdf(3), Asked(page))]] == [
        (3, 1),
        (3, 3),
        (3, 3),
    ]


def here(content: bytes, asked: str = '{"page": 1, "text": false}') -> Preview:
    """The same without a process of its own."""
    return answer(io.BytesIO(asked.encode() + b"\n" + content))


def bomb() -> bytes:
    """A PNG of a few kilobytes that says it has 900 million pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return len(data).to_bytes(4) + kind + data + zlib.crc32(kind + data).to_bytes(4)

    head = (30_000).to_bytes(4) + (30_000).to_bytes(4) + b"\x08\x02\0\0\0"
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(b"\0" * 99_999))
        + chunk(b"IEND", b"")
    )


SHOWN = [
    (b"", "text", ""),
    (b"caf\xe9\n", "text", ""),
    ("été".encode("utf-16"), "text", ""),
    (b"\x7fELF\0\0", "none", "unknown"),
    (b"%PDF-1.4 broken", "none", "broken"),
    (picture("RGBA", (40, 30), "PNG"), "image", ""),
    (picture("P", (40, 30), "GIF"), "image", ""),
    (picture("CMYK", (40, 30), "TIFF"), "image", ""),
    (picture("RGB", (40, 30), "JPEG")[:200], "none", "broken"),
    (bomb(), "none", "too-large"),
]


@pytest.mark.parametrize("number", range(len(SHOWN)))
def test_what_it_holds_decides_whatever_it_is_called(number: int) -> None:
    content, kind, why = SHOWN[number]
    found = here(content)
    assert (found.kind, found.why) == (kind, why)


def test_text_is_read_as_windows_wrote_it_in_france() -> None:
    assert here(b"caf\xe9 \x80\n").text == "café €\n"
    assert here("\ufeffété".encode()).text == here("été".encode("utf-16")).text == "été"


def test_a_picture_is_turned_the_right_way_and_loses_all_but_its_pixels() -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "a secret place"
    found = here(picture("RGB", (300, 100), "JPEG", exif=exif))
    with Image.open(io.BytesIO(found.picture)) as image:
        assert image.size == (100, 300)
    assert b"secret" not in found.picture


@pytest.mark.parametrize("asked", ["", "[]", '{"page": "x", "text": 1}', '{"page": 1}'])
def test_a_question_that_is_none_shows_nothing(asked: str) -> None:
    assert here(b"x", asked).kind == "none"


def test_a_document_that_laughs_a_billion_times_is_broken() -> None:
    entities = '<!ENTITY a0 "ha">' + "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 12))
    space = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
    body = f'<w:document xmlns:w="{space}"><w:p><w:r><w:t>&a11;</w:t></w:r></w:p></w:document>'
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as made:
        made.writestr("word/document.xml", f"<!DOCTYPE x [{entities}]>{body}")
    assert here(sink.getvalue()) == Preview("none", "broken")


def test_a_file_that_is_too_large_is_not_even_sent() -> None:
    with tempfile.TemporaryFile() as file:
        file.truncate(FILE_BYTES_MAX + 1)
        assert Previewer(Path("/nowhere")).preview(file) == Preview("none", "too-large")


def confined(body: str) -> subprocess.CompletedProcess[str]:
    """`body` in a process that has given up what the worker gives up."""
    program = f"from appliance.restore.preview.worker import confine\nconfine()\n{body}"
    return subprocess.run((sys.executable, "-c", program), cwd=ROOT, capture_output=True, text=True, check=False)


def test_the_worker_has_neither_network_nor_memory_nor_disk_nor_time_without_end(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert "unreachable" in confined(f"import socket; socket.create_connection(('127.0.0.1', {port}))").stderr
    assert "MemoryError" in confined("b'x' * 2**30").stderr
    large = tmp_path / "large"
    large.touch(mode=0o666)
    os.chmod(tmp_path, 0o777)
    assert confined(f"open({str(large)!r}, 'wb').write(bytes(2**27))").returncode != 0
    assert large.stat().st_size <= 2**26
    limits = confined("import resource; print(resource.getrlimit(resource.RLIMIT_CPU))").stdout
    assert limits.strip() == "(15, 15)"


def test_the_worker_has_no_power_of_whoever_started_it(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give powers away")
    secret = tmp_path / "secret"
    secret.touch(mode=0o600)
    powers = "--inh-caps=-all,+dac_read_search", "--ambient-caps=-all,+dac_read_search"
    words = "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", *powers, sys.executable, "-c"
    program = """if True:
        import os, subprocess, sys
        from appliance.restore.preview.worker import confine
        os.stat(sys.argv[1])
        assert confine() == ("files",)
        try:
            os.stat(sys.argv[1])
        except PermissionError:
            sys.exit(subprocess.run(("grep", "CapEff:.0*$", "/proc/self/status")).returncode)
        """
    done = subprocess.run((*words, program, str(secret)), cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.startswith("CapEff")) == (0, True), done.stderr


def test_where_the_network_cannot_be_given_up_nothing_is_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fake = tmp_path / "python"
    inside = f'echo 0 >/proc/sys/user/max_user_namespaces && exec {sys.executable} "$@"'
    fake.write_text(f"#!/bin/sh\nexec unshare --user --map-root-user sh -c '{inside}' sh \"$@\"\n")
    fake.chmod(0o755)
    monkeypatch.setattr(client.sys, "executable", str(fake))
    assert preview(b"bonjour") == Preview("none", "unavailable", missing=("network", "files"))


def test_a_worker_that_hangs_is_ended_and_says_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fake = tmp_path / "python"
    fake.write_text("#!/bin/sh\nexec sleep 600\n")
    fake.chmod(0o755)
    monkeypatch.setattr(client.sys, "executable", str(fake))
    assert preview(b"x", previewer=Previewer(Path("/nowhere"), seconds_max=0.3)) == Preview("none", "too-slow")


@contextlib.contextmanager
def door(place: Path, serve: Callable[[socket.socket], None]) -> Iterator[Previewer]:
    """The socket of the unit, as systemd would open it, with one caller."""
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(place))
        listening.listen()

        def accept() -> None:
            with listening.accept()[0] as connection, contextlib.suppress(OSError):
                serve(connection)

        thread = threading.Thread(target=accept)
        thread.start()
        try:
            yield Previewer(place, seconds_max=2.0)
        finally:
            thread.join()


def test_on_a_host_the_unit_answers_behind_its_socket(tmp_path: Path) -> None:
    def serve(connection: socket.socket) -> None:
        with connection.makefile("rb") as source:
            connection.sendall(to_wire(answer(source)))

    with door(tmp_path / "s", serve) as previewer:
        assert preview(b"bonjour", previewer=previewer).text == "bonjour"


@pytest.mark.parametrize(("answered", "why"), [(b"", "too-slow"), (b"nonsense", "broken"), (b"endless", "too-slow")])
def test_a_unit_that_was_killed_or_lies_is_told_as_such(tmp_path: Path, answered: bytes, why: str) -> None:
    def serve(connection: socket.socket) -> None:
        connection.recv(1000)
        connection.sendall(answered if answered != b"endless" else b"x" * 2**25)

    with door(tmp_path / "s", serve) as previewer:
        assert preview(b"bonjour", previewer=previewer) == Preview("none", why)  # type: ignore[arg-type]


def test_a_unit_with_as_many_callers_as_it_takes_is_asked_again_for_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "BUSY_PAUSE_SECONDS", 0.01)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "s"))
        listening.listen()

        def busy_twice() -> None:
            for _ in range(2):
                listening.accept()[0].close()  # as systemd does with the third of two
            with listening.accept()[0] as connection, connection.makefile("rb") as source:
                connection.sendall(to_wire(answer(source)))

        thread = threading.Thread(target=busy_twice)
        thread.start()
        assert preview(b"bonjour", previewer=Previewer(tmp_path / "s")).text == "bonjour"
        thread.join()


def test_a_unit_that_stays_busy_is_told_as_such(tmp_path: Path) -> None:
    with door(tmp_path / "s", lambda connection: None) as previewer:
        impatient = dataclasses.replace(previewer, busy_seconds_max=0.0)
        assert preview(b"bonjour", previewer=impatient) == Preview("none", "busy")


def test_where_nobody_answers_that_is_said(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "s"))
    assert preview(b"x", previewer=Previewer(tmp_path / "s")) == Preview("none", "unavailable")
