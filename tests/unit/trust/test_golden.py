"""Documents of earlier versions verify for ever: with our own code, and with ssh-keygen and sha256sum alone."""

from __future__ import annotations

import hashlib
import json
import subprocess
from pathlib import Path

import pytest

from appliance.clock import utc_seconds
from appliance.errors import Refused
from appliance.monitor.duty.statement import read_statement
from appliance.trust.absence import read_absence
from appliance.trust.act import Operator, read_act
from appliance.trust.bundle import read_bundle
from appliance.trust.generation import Entry, epoch_of, parse_list, read_header, render_list
from appliance.trust.grant import read_grant, read_request
from appliance.trust.holder_answer import read_holder_answer
from appliance.trust.receipt import read_receipt
from appliance.trust.release import read_release
from appliance.trust.still.receipt import read_still_receipt
from appliance.trust.still.statement import read_still
from appliance.trust.voted import read_voted
from appliance.trust.voting import Voting
from appliance.units import DAY, GIB, MIB

GOLDEN = Path(__file__).parents[2] / "golden/format-1"
KEYS: dict[str, str] = json.loads((GOLDEN / "keys.json").read_text())
# Every document, its signer, and the hash that the file had when it was made: nobody mends a golden file.
DOCUMENTS = {
    "bundle": ("territory", "d46486afc1b6cc9da3edd8ac50f0bdd75f17c8a71a97a5e4958d06eefac2ed75"),
    "grant": ("territory", "ceb309b6b363a5f7db98a97b5430d2bf90fc8f9bf7b6c76242dfa345de89b221"),
    "grant-request": ("commune-a", "8d045ac85bb3a1f9e33c71a74880da9fa554ceefef2ad38516e65113e0317bc9"),
    "generation": ("commune-a", "6a3e5496a809e5e2fbc24ebc5d1e216d68d0bfec060995aae740fdf58bb7a7b8"),
    "receipt": ("commune-b", "fd030bdd9f2058867803c2568daf23273af0b37dd9b40f70eae15192f8eccf07"),
    "absence": ("hermitage", "7516e7937185485b11fc76f34d8405adec80c6d59330b975b017982995c8a08e"),
    "act": ("maintenance", "69d0588f419f924fd8b69df623eefdc450bb7b616ee59fecbe77066978b26a5a"),
}

# The same type, with what came later; its key was thrown away too, so its public half lies beside it.
REVOKED = "bundle-revoked"
# What voters and who they granted to signed, by the public keys of `voters.json`; their keys were thrown away too.
VOTED = {
    "voted-grant": "fd17f6ac644e8e405bb849362959441b246f7fe99e43893ac8410c809a99d446",
    "release": "51451eb89a4b7897bebe7d2a4efc034972ce9a217b26ea6a4472c78d6966f118",
    "held": "fc4d857e0ea0501223d0080abd783ad08b779d4c3e94348b17cb04c8436632ff",
    "voters.json": "887d063b212bf035578b47ff2c8491f91e58fa078868054ea3d30082dd81578b",
}
# The word that nothing changed, and the receipt for it, with the public halves of keys that were thrown away too.
STILL = {
    "still": "d800ec5b88a77a03f4e595c28754cf119045e3c7e6aabdea3835710041c9301f",
    "still-receipt": "52cf3cfb3a696f39ef5b2a804d3262e4f6012b811f5f2f915bf18e862f112e7e",
    "still-keys.json": "94c52a22de40f09a5ec243e05c511b8672bce20082567963d794b05d030712a6",
}
QUOTA, QUOTA_DIGEST = "act-quota-daily", "3d6461a5e70b03cd74cc00d34088dc551cd8cc76f9284a1120743bd5b09b1eba"
ACKNOWLEDGED, ACKNOWLEDGED_DIGEST = (
    "acknowledgement",
    "8286f6b03f40ef15b5ce4459bdb9bab389f0833b3bea48feebaa2fe556f53e74",
)
CALLED, CALLED_DIGEST = "bundle-called", "9eed06b7ff3e79c7fde3076ffd77469799e96b5dcd3ae50dbdf4a79b7bccbbf4"
FORMER, FORMER_DIGEST = "bundle-former", "dbba25c8bd888d5be4d9e1ccd55c2c4a5924c531c01aa0a8266a045c813df1b9"
REWIND, REWIND_DIGEST = "act-rewind", "453eb4f93c13263c8690fa4513e2615b68cbfc9df4729e0b68132b37c4327cea"
TAKES_BACK, TAKES_BACK_DIGEST = "act-takes-back", "d8b35ca081a2300fbdf8c2622a0b85a1da4654520d1bff5423708488f4b2608a"
REVOKED_DIGEST = "7851b028f8148ae583c6641cc2671dc2ee595ff84eefdb846133ae05887882f5"

SECOND = Path(__file__).parents[2] / "golden/format-2"
# Headers that say what the newest archive lacks; the list is that of format 1.
SECOND_DOCUMENTS = {
    "generation": "5208a1fb2230cf95445c5ae19a8a3e60361ff66292f97a23ab53fddcd22d44b6",
    "generation-partial": "4be8cdfe5bbb191479c759072efd37d1695aaec5c976f76a3e128e1eebcef9aa",
    "release": "bde32b82dfdc821a6b0c9b1b36afd9ffb6e052c6b1b9c78980d88c11c1e635fe",
    "keys.json": "3a545246769af558cb19401c49b961c19e1ea2aefdc773d431008485fb6e4317",
}


def _read(name: str) -> bytes:
    return (GOLDEN / name).read_bytes()


def test_no_golden_file_was_changed_and_none_is_unread() -> None:
    others = {"list", "keys.json", REVOKED, f"{REVOKED}.pub", REWIND, f"{REWIND}.pub", QUOTA, f"{QUOTA}.pub"}
    others |= {ACKNOWLEDGED, f"{ACKNOWLEDGED}.pub"}
    assert hashlib.sha256(_read(ACKNOWLEDGED)).hexdigest() == ACKNOWLEDGED_DIGEST
    others |= {FORMER, f"{FORMER}.pub", CALLED, f"{CALLED}.pub", TAKES_BACK, f"{TAKES_BACK}.pub"}
    assert hashlib.sha256(_read(TAKES_BACK)).hexdigest() == TAKES_BACK_DIGEST
    assert hashlib.sha256(_read(CALLED)).hexdigest() == CALLED_DIGEST
    assert {path.name for path in GOLDEN.iterdir()} == {*DOCUMENTS, *VOTED, *STILL, *others}
    assert hashlib.sha256(_read(REVOKED)).hexdigest() == REVOKED_DIGEST
    assert hashlib.sha256(_read(FORMER)).hexdigest() == FORMER_DIGEST
    assert hashlib.sha256(_read(REWIND)).hexdigest() == REWIND_DIGEST
    for name, digest in [*((name, digest) for name, (_, digest) in DOCUMENTS.items()), *VOTED.items(), *STILL.items()]:
        assert hashlib.sha256(_read(name)).hexdigest() == digest, name


def test_the_still_and_its_receipt() -> None:
    keys = json.loads(_read("still-keys.json"))
    still = read_still(_read("still"), keys["writer"])
    assert (still.service, str(still.generation), still.number, still.time) == (
        "docs-a",
        "2.41",
        1,
        "2026-12-02T08:15:00Z",
    )
    receipt = read_still_receipt(_read("still-receipt"), "commune-b", keys["holder"], still)
    assert (receipt.time, receipt.age_seconds) == ("2026-12-02T08:15:03Z", 5184900)


def test_the_bundle() -> None:
    bundle = read_bundle(_read("bundle"), KEYS["territory"])
    assert (bundle.serial, bundle.issued) == (7, "2026-11-25T08:00:00Z")
    assert sorted(bundle.members) == ["commune-a", "commune-b", "commune-c", "hermitage"]
    assert bundle.member("commune-a").keys.sign == KEYS["commune-a"]
    terms = bundle.terms("docs-a")
    assert (terms.origin, terms.replica_nodes, terms.spares) == (
        "commune-a",
        ("hermitage", "commune-b"),
        ("commune-c",),
    )
    assert (terms.quota_bytes, terms.daily_bytes, terms.seed_bytes) == (2 * GIB, GIB, GIB)
    assert terms.service.size_bytes == 200 * MIB
    assert bundle.territory.nodes["commune-a"].site == "commune-a"
    assert bundle.territory.zones_of("commune-a") == {"valley"}


def test_the_bundle_that_revokes() -> None:
    bundle = read_bundle(_read(REVOKED), _read(f"{REVOKED}.pub").decode().strip())
    (revocation,) = bundle.revoked.revocations
    assert (revocation.node, revocation.reason) == ("hermitage", "volée dans la nuit")
    assert revocation.since == "2026-11-30T08:00:00Z"
    assert revocation.keys.sign == "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEnX0glNRZgyLIlqvXjJLcAI55McjiFn1Gqu3pLv51G0"
    assert len(revocation.keys.mesh) == 44
    assert bundle.revoked_nodes == {"hermitage"}
    assert (bundle.revoked.ended_epoch("docs-a"), bundle.ca) == (4, "5e" * 32)


def test_the_bundle_that_remembers_what_left() -> None:
    bundle = read_bundle(_read(FORMER), _read(f"{FORMER}.pub").decode().strip())
    assert sorted(bundle.territory.services) == ["base-b"], "a version that ignores the field reads the same territory"
    left = bundle.former.services["docs-a"]
    assert (left.holders, left.serial, left.since) == (("hermitage", "commune-b"), 8, "2026-12-01T08:00:00Z")
    assert (bundle.trusted("docs-a"), left.service.lock_seconds) == (("commune-a", "hermitage"), 30 * DAY)
    (holder,) = bundle.former.holders
    assert (holder.service, holder.node, holder.quota_bytes, holder.serial) == ("base-b", "commune-a", 100 * GIB, 9)


def test_the_bundle_in_which_a_service_was_renamed() -> None:
    bundle = read_bundle(_read(CALLED), _read(f"{CALLED}.pub").decode().strip())
    (service,) = bundle.territory.services.values()
    assert (service.name, service.called, service.label) == ("base-b", "base", "base (base-b)")
    assert (bundle.first_name("base"), bundle.first_name("base-b")) == ("base-b", "base-b")
    assert b'"called"' not in json.dumps(bundle.document.fields["territory"]).encode(), "former versions read that"


def test_the_request_for_a_grant() -> None:
    request = read_request(_read("grant-request"), KEYS["commune-a"])
    assert (request.service, request.writer, request.known_epoch) == ("docs-a", "commune-a", 2)
    assert (request.repository, request.reason) == ("5e" * 32, "la machine a été remplacée")


def test_the_grant() -> None:
    grant = read_grant(_read("grant"), KEYS["territory"])
    assert (grant.service, grant.epoch, grant.previous, grant.writer) == ("docs-a", 4, 2, "commune-a")
    assert (grant.nonce_floor, grant.writer_key, grant.repository) == (4 << 48, KEYS["commune-a"], "5e" * 32)


def test_the_voted_grant_and_what_its_writer_says_of_it() -> None:
    voting = Voting(**json.loads(_read("voters.json")))
    grant = read_voted(_read("voted-grant"), voting)
    assert (grant.service, grant.epoch, grant.previous, grant.writer) == ("docs-a", 513, 4, "hermitage")
    assert (grant.nonce_floor, grant.writer_key) == (513 << 48, voting.keys["hermitage"])
    assert (grant.repository, grant.reason) == ("5e" * 32, "la commune A est sous l'eau")
    release = read_release(_read("release"), grant.writer_key)
    assert (release.service, release.epoch, release.holder) == ("docs-a", 513, "hermitage")
    assert (release.reason, release.time) == ("la commune reprend son service", "2026-12-01T19:00:00Z")
    assert release.generation == "", "this format named none"
    held = read_holder_answer(_read("held"), grant.writer_key)
    assert (held.service, held.epoch, held.holder, held.challenge) == ("docs-a", 513, "hermitage", "c4" * 32)


def test_the_release_that_names_the_last_generation() -> None:
    release = read_release((SECOND / "release").read_bytes(), (SECOND / "release.pub").read_text().strip())
    assert (release.service, release.epoch, release.holder) == ("docs-a", 513, "hermitage")
    assert release.generation == "00513.0000000007.0123456789abcdef"


def test_the_generation_and_its_list() -> None:
    raw = _read("generation")
    assert epoch_of(raw) == 4
    header = read_header(raw, KEYS["commune-a"])
    assert (header.service, header.epoch, header.sequence, header.previous) == ("docs-a", 4, 12, "c0" * 32)
    assert (header.time, header.files) == ("2026-11-25T08:00:00Z", 6)
    assert header.id.name == "00004.0000000012." + hashlib.sha256(raw).hexdigest()[:16]
    entries = parse_list(_read("list"), header)
    assert [entry.path for entry in entries] == [
        "README",
        "config",
        "data/0/0",
        "data/0/17",
        "envelopes/hermitage.age",
        "grant",
    ]
    assert entries[2] == Entry("data/0/0", hashlib.sha256(b"segment 0").hexdigest(), 9)
    assert render_list(entries) == _read("list")


def test_the_generations_of_format_2() -> None:
    assert {path.name for path in SECOND.iterdir()} == {*SECOND_DOCUMENTS, "release.pub"}
    for name, digest in SECOND_DOCUMENTS.items():
        assert hashlib.sha256((SECOND / name).read_bytes()).hexdigest() == digest, name
    writer = json.loads((SECOND / "keys.json").read_text())["commune-a"]
    whole = read_header((SECOND / "generation").read_bytes(), writer)
    partial = read_header((SECOND / "generation-partial").read_bytes(), writer)
    assert (whole.sequence, whole.whole, whole.missing) == (13, True, ())
    assert (partial.sequence, partial.whole, partial.missing) == (14, False, (1, 3))
    assert partial.previous == whole.document.digest
    assert len(parse_list(_read("list"), partial)) == 6


def test_the_receipt() -> None:
    receipt = read_receipt(_read("receipt"), KEYS["commune-b"])
    assert (receipt.holder, receipt.service, receipt.age_seconds) == ("commune-b", "docs-a", 86_461)
    assert receipt.generation == read_header(_read("generation"), KEYS["commune-a"]).id
    assert receipt.time == "2026-11-25T08:00:04Z"


def test_the_absence() -> None:
    absence = read_absence(_read("absence"), KEYS)
    assert (absence.observer, absence.absent, absence.service) == ("hermitage", "commune-b", "docs-a")
    assert (absence.since, absence.time) == ("2026-11-10T21:04:00Z", "2026-11-25T08:00:00Z")
    assert absence.last_seen_age == 1_249_000


def test_the_act() -> None:
    bundle = read_bundle(_read("bundle"), KEYS["territory"])
    act = read_act(_read("act"), bundle.operators)
    assert (act.act, act.subject, act.service, act.operator) == ("lost", "commune-a", "any", "maintenance")
    assert act.reason == "inondation du 24 décembre"
    assert act.end - act.start == 31 * 24 * 3600


def test_the_act_that_lets_more_in_for_some_days() -> None:
    signer = Operator("maintenance", (_read(f"{QUOTA}.pub").decode().strip(),), ("quota",))
    raw = _read(QUOTA)
    act = read_act(raw, [signer])
    assert hashlib.sha256(raw).hexdigest() == QUOTA_DIGEST
    assert (act.act, act.subject, act.quota_bytes, act.daily_bytes) == ("quota", "docs-a", 0, 40 * GIB)
    assert act.end - act.start == 4 * 24 * 3600


def test_the_act_that_lets_a_share_be_replaced() -> None:
    signer = Operator("maintenance", (_read(f"{REWIND}.pub").decode().strip(),), ("rewind",))
    act = read_act(_read(REWIND), [signer])
    assert (act.act, act.subject, act.service, act.reason) == (
        "rewind",
        "docs-a",
        "any",
        "rançongiciel du 24 novembre",
    )
    assert act.concerns("rewind", "docs-a", "docs-a", act.start)
    assert not act.concerns("rewind", "docs-b", "docs-b", act.start)
    assert not act.concerns("rewind", "docs-a", "docs-a", act.end)


def test_the_acknowledgement() -> None:
    alice = Operator("alice", (_read(f"{ACKNOWLEDGED}.pub").decode().strip(),), ())
    found = read_statement(_read(ACKNOWLEDGED), (alice,), utc_seconds("2026-12-02T10:30:00Z"))
    assert (found.person, found.fingerprints) == ("alice", ("0123456789abcdef", "fedcba9876543210"))
    with pytest.raises(Refused, match="good for an hour"):
        read_statement(_read(ACKNOWLEDGED), (alice,), utc_seconds("2026-12-02T11:00:00Z"))


def test_an_act_that_takes_quarantines_back_names_them() -> None:
    signer = Operator("maintenance", (_read(f"{TAKES_BACK}.pub").decode().strip(),), ("quarantine",))
    act = read_act(_read(TAKES_BACK), [signer])
    assert (act.act, act.subject, act.start) == ("quarantine", "commune-a", act.end)
    assert act.taken_back == {f"{1:064}", f"{2:064}"}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_ssh_keygen_alone_verifies_it(tmp_path: Path, name: str) -> None:
    line, signature = _read(name).split(b"\n", 1)
    (tmp_path / "signature").write_bytes(signature)
    (tmp_path / "allowed").write_text(f"signer {KEYS[DOCUMENTS[name][0]]}\n")
    words = ("ssh-keygen", "-Y", "verify", "-f", "allowed", "-I", "signer", "-s", "signature")
    type_ = json.loads(line)["type"]
    assert type_ == f"appliance/{name}"
    checked = subprocess.run((*words, "-n", type_), input=line + b"\n", cwd=tmp_path, capture_output=True, check=False)
    assert checked.returncode == 0, checked.stderr


def test_sha256sum_alone_reads_the_list(tmp_path: Path) -> None:
    (tmp_path / "list").write_bytes(_read("list"))
    contents = {"config": b"config", "README": b"README", "grant": _read("grant"), "data/0/0": b"segment 0"}
    contents |= {"data/0/17": b"segment 17", "envelopes/hermitage.age": b"envelope"}
    for path, content in contents.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(content)
    words = ("sha256sum", "--strict", "--check", "list")
    assert subprocess.run(words, cwd=tmp_path, capture_output=True, check=False).returncode == 0
