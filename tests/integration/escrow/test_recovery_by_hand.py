"""docs/recovery-by-hand.md is run as it stands, on a peer's folder, with the paper and nothing of ours."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from appliance.backup.writer import writer
from appliance.backup.writer.begin import seal_envelopes
from appliance.borg.names import archive_name, branch_name, companion_name
from appliance.escrow import age, envelopes, paper_key
from appliance.escrow.age import RecoveryKey
from appliance.escrow.ceremony import ceremony
from appliance.escrow.envelopes import ServiceKey
from appliance.secret import Secret
from appliance.trust import grant, signed
from appliance.trust.generation import NO_PARENT, Entry, GenerationId, make_header, render_list
from appliance.trust.keys import public_line
from appliance_lab.processes.territory import ProcessTerritory
from tests.worlds.typed_pages import shell_blocks
from tests.worlds.voters import KEYS, granted, voting
from tests.worlds.voters import asked as asked_of_voters

DOCUMENT = Path(__file__).parents[3] / "docs" / "recovery-by-hand.md"
PASSPHRASE = "correct horse battery staple"
OLDER = archive_name("docs-a", "2.9", "2031-01-01T00:00:00Z", 1)
NEWER = archive_name("docs-a", "2.10", "2026-11-25T08:00:00Z", 2)
FILES = {
    "délibérations/2026-11-24 conseil.txt": b"Le conseil municipal...\n" * 4000,
    "état civil.csv": bytes(range(256)) * 900,
}


@dataclass(frozen=True)
class Town:
    """A peer's holding of docs-a, the sheet that opens it, and the key that signed its grant."""

    vault: Path
    paper: RecoveryKey
    territory_key: str


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> Town:
    """A repository of two archives, sealed as the origin does and stored as a peer does."""
    folder = tmp_path_factory.mktemp("territory")
    paper = age.generate()
    territory, writer = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    repository, key = _back_up(folder)
    vault = folder / "vault" / "docs-a"
    request = grant.read_request(
        grant.make_request(
            writer, service="docs-a", repository=key.repository, writer="a", known_epoch=0, reason='the "first" one'
        ),
        public_line(writer),
    )
    permit = grant.make_grant(territory, request)
    _store(vault / "grants" / "00002", permit)
    envelope = envelopes.ensure(folder / "envelopes", "recovery", paper.public, key).read_bytes()
    content = {str(path.relative_to(repository)): path.read_bytes() for path in _committed(repository)}
    content |= {"grant": permit, "envelopes/recovery.age": envelope}
    older = _publish(vault, writer, content, sequence=1, previous=NO_PARENT)
    newer = _publish(vault, writer, content, sequence=2, previous=older.digest)
    # What pruning leaves of a generation, and a push that was cut: headers without a list are not backups.
    (vault / "generations" / older.name / "list").unlink()
    _store(vault / "generations" / GenerationId(2, 3, newer.digest).name / "header", b"")
    return Town(vault, paper, public_line(territory))


@pytest.fixture
def town(sealed: Town, tmp_path: Path) -> Town:
    copy = tmp_path / "disque d'une commune" / "docs-a"
    shutil.copytree(sealed.vault, copy)
    return Town(copy, sealed.paper, sealed.territory_key)


def _back_up(folder: Path) -> tuple[Path, ServiceKey]:
    source, repository = folder / "documents", folder / "repository"
    for name, content in FILES.items():
        _store(source / name, content)
    environment = os.environ | {
        "BORG_BASE_DIR": str(folder / "borg"),
        "BORG_KEY_FILE": str(folder / "keyfile"),
        "BORG_PASSPHRASE": PASSPHRASE,
    }
    for argv in (
        ("borg", "init", "-e", "keyfile-blake2", repository),
        # The first one's clock was years ahead, and nine comes before ten.
        ("borg", "create", "--timestamp", "2031-01-01T00:00:00", f"{repository}::{OLDER}", next(iter(FILES))),
        ("borg", "create", f"{repository}::{NEWER}", "."),
        # Neither a branch that was kept nor what says of an archive that it is partial is the newest archive.
        ("borg", "create", f"{repository}::{branch_name('docs-a', 2, '2032-01-01T00:00:00Z')}", next(iter(FILES))),
        ("borg", "create", f"{repository}::{companion_name(NEWER)}", next(iter(FILES))),
    ):
        subprocess.run(argv, cwd=source, env=environment, check=True, capture_output=True)
    return repository, ServiceKey(Secret(PASSPHRASE.encode()), Secret((folder / "keyfile").read_bytes()))


def _committed(repository: Path) -> list[Path]:
    return [repository / "config", repository / "README", *(path for path in repository.glob("data/*/*"))]


def _publish(
    vault: Path, writer: Ed25519PrivateKey, content: dict[str, bytes], *, sequence: int, previous: str, epoch: int = 2
) -> GenerationId:
    entries = [Entry(path, signed.digest_of(data), len(data)) for path, data in content.items()]
    listing = render_list(entries)
    header = make_header(
        writer,
        service="docs-a",
        epoch=epoch,
        sequence=sequence,
        previous=previous,
        time=f"2026-11-25T0{sequence}:00:00Z",
        listing=listing,
        entries=entries,
    )
    for entry, data in zip(entries, content.values(), strict=True):
        _store(vault / "pool" / entry.sha256[:2] / entry.sha256, data)
    generation = GenerationId(epoch, sequence, signed.digest_of(header))
    _store(vault / "generations" / generation.name / "header", header)
    _store(vault / "generations" / generation.name / "list", listing)
    return generation


def _store(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def blocks() -> list[str]:
    return shell_blocks(DOCUMENT)


def follow(
    town: Town, work: Path, *, steps: int | None = None, shell: str = "sh", typed: str | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the document's blocks as given, in one shell that stops at the first error, the key typed from the paper."""
    script = "set -e\n" + "".join(blocks()[:steps])
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(work),
        "VAULT": str(town.vault),
        "WORK": str(work / "travail"),
    }
    keys = "\n".join(paper_key.lines(town.paper.secret)).lower() if typed is None else typed
    argv = (shell, "-c", script)
    return subprocess.run(argv, env=environment, input=keys + "\n\n", capture_output=True, text=True, check=False)


@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_the_paper_and_one_disk_bring_every_file_back(town: Town, tmp_path: Path, shell: str) -> None:
    before = _fingerprints(town.vault)
    done = follow(town, tmp_path, shell=shell)
    assert done.returncode == 0, done.stderr
    restored = tmp_path / "travail" / "restored"
    assert {name: (restored / name).read_bytes() for name in FILES} == FILES
    assert signed.fingerprint(town.territory_key) in done.stdout
    assert "2026-11-25T02:00:00Z" in done.stdout
    assert _fingerprints(town.vault) == before


def test_nothing_of_the_key_is_left_at_the_end(town: Town, tmp_path: Path) -> None:
    assert follow(town, tmp_path).returncode == 0
    work = tmp_path / "travail"
    secrets = (PASSPHRASE.encode(), town.paper.secret.reveal(), b"BORG_KEY")
    left = [path for path in work.rglob("*") if path.is_file() and any(word in path.read_bytes() for word in secrets)]
    assert left == []


def test_no_command_outside_coreutils_openssh_age_and_borg_is_used() -> None:
    script = re.sub(r"#.*|'[^']*'", "", "\n".join(blocks()))
    for word in ("jq", "python", "appliance ", "sed", "awk", "grep ", "curl"):
        assert word not in script


def _append(name: str) -> Callable[[Town], None]:
    def damage(town: Town) -> None:
        file = _newest(town) / name
        file.write_bytes(file.read_bytes() + b"# 1\n")

    return damage


def _newest(town: Town) -> Path:
    return max(path.parent for path in town.vault.glob("generations/*/list"))


def _later_date(town: Town) -> None:
    header = _newest(town) / "header"
    header.write_bytes(header.read_bytes().replace(b"2026-11-25", b"2027-11-25"))


def _another_writer(town: Town) -> None:
    header = _newest(town) / "header"
    line, _ = signed.split(header.read_bytes(), "appliance/generation")
    fields = signed.parse(line, "appliance/generation")
    del fields["type"], fields["format"]
    header.write_bytes(signed.make("appliance/generation", fields, Ed25519PrivateKey.generate()))


def _changed_grant(town: Town) -> None:
    path = town.vault / "grants" / "00002"
    path.write_bytes(path.read_bytes().replace(b'"writer": "a"', b'"writer": "b"'))


def _rotten_blob(town: Town) -> None:
    blob = max(town.vault.glob("pool/*/*"), key=lambda path: path.stat().st_size)
    data = bytearray(blob.read_bytes())
    data[len(data) // 2] ^= 1
    blob.write_bytes(data)


def _missing_blob(town: Town) -> None:
    max(town.vault.glob("pool/*/*"), key=lambda path: path.stat().st_size).unlink()


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        pytest.param(_append("list"), "FAILED", id="a list with one line more"),
        pytest.param(_later_date, "Could not verify", id="a header dated later"),
        pytest.param(_another_writer, "Could not verify", id="a header signed by an unknown key"),
        pytest.param(_changed_grant, "Could not verify", id="a grant with another writer"),
        pytest.param(_rotten_blob, "FAILED", id="one bit of a blob"),
        pytest.param(_missing_blob, "No such file", id="a blob that is gone"),
    ],
)
def test_what_was_damaged_or_forged_stops_the_recovery(
    town: Town, tmp_path: Path, damage: Callable[[Town], None], says: str
) -> None:
    damage(town)
    done = follow(town, tmp_path)
    assert done.returncode != 0
    assert says in done.stdout + done.stderr
    assert not any((tmp_path / "travail" / "restored").iterdir())


def test_a_grant_by_another_territory_shows_another_fingerprint(town: Town, tmp_path: Path) -> None:
    path = town.vault / "grants" / "00002"
    line, _ = signed.split(path.read_bytes(), grant.TYPE)
    fields = signed.parse(line, grant.TYPE)
    del fields["type"], fields["format"]
    path.write_bytes(signed.make(grant.TYPE, fields, Ed25519PrivateKey.generate()))
    done = follow(town, tmp_path, steps=2)
    assert "SHA256:" in done.stdout
    assert signed.fingerprint(town.territory_key) not in done.stdout


@pytest.mark.parametrize("repository", ["the same", "another"])
def test_after_a_takeover_that_voters_granted_the_territorys_own_grant_is_checked(
    town: Town, tmp_path: Path, repository: str
) -> None:
    own = grant.read_grant((town.vault / "grants" / "00002").read_bytes(), town.territory_key)
    asked = asked_of_voters(2, repository=own.repository if repository == "the same" else "cd" * 32)
    _store(town.vault / "grants" / "00003", granted(asked, voting()))
    _publish(town.vault, KEYS["hermitage"], {"config": b"any"}, sequence=1, previous=NO_PARENT, epoch=3)
    done = follow(town, tmp_path, steps=3)
    assert done.returncode == 0, done.stderr
    assert signed.fingerprint(town.territory_key) in done.stdout
    assert ("STOP: autre dépôt" in done.stdout) == (repository == "another")


def test_a_path_that_leaves_the_folder_is_not_followed(town: Town, tmp_path: Path) -> None:
    work = tmp_path / "travail"
    assert follow(town, tmp_path, steps=3).returncode == 0
    list_ = _newest(town) / "list"
    list_.write_bytes(b"# 1\n" + b"0" * 64 + b"  data/../../../escaped\n")
    script = f'VAULT="{town.vault}"; WORK="{work}"; NEWEST="{list_.parent}"\n{blocks()[3]}'
    done = subprocess.run(("sh", "-c", script), capture_output=True, text=True, check=False)
    assert "STOP" in done.stdout
    assert not list(tmp_path.rglob("escaped"))


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        pytest.param(None, "no identity matched", id="another territory's sheet"),
        pytest.param("AGE-SECRET-KEY-1QQQQ", "malformed secret key", id="a line that is cut"),
        pytest.param("nonsense", "unknown identity type", id="something else"),
    ],
)
def test_a_wrong_key_opens_nothing(town: Town, tmp_path: Path, typed: str | None, says: str) -> None:
    done = follow(Town(town.vault, age.generate(), town.territory_key), tmp_path, typed=typed)
    assert done.returncode != 0
    assert says in done.stderr
    table = DOCUMENT.read_text().partition("## Si ça ne va pas")[2]
    assert says in table


def _fingerprints(folder: Path) -> dict[str, tuple[str, int]]:
    return {
        str(path.relative_to(folder)): (signed.digest_of(path.read_bytes()), path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_a_real_blind_peers_folder_is_enough(territory: ProcessTerritory, documents: Path, tmp_path: Path) -> None:
    papers: list[RecoveryKey] = []
    territory.recovery = ceremony(papers.append, lambda wrong: papers[0].secret)
    territory.sign()
    origin = territory.open("commune-a")
    seal_envelopes(origin, "docs-a")
    blind = next(pushed.peer for pushed in writer.run(origin, "docs-a").pushed if pushed.peer != "hermitage")
    vault = territory.nodes[blind].layout.vault / "docs-a"
    done = follow(Town(vault, papers[0], territory.territory_key.with_suffix(".pub").read_text()), tmp_path)
    assert done.returncode == 0, done.stderr
    restored = tmp_path / "travail" / "restored" / documents.relative_to("/")
    assert {name: digest for name, (digest, _) in _fingerprints(restored).items()} == {
        name: digest for name, (digest, _) in _fingerprints(documents).items()
    }
