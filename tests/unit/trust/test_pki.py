"""Certificates: what is issued leads to the root for openssl too, and nothing else is issued or believed."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from cryptography import x509

from appliance.errors import IntegrityError, Refused
from appliance.trust import pki
from appliance.units import DAY

DOMAIN = "lab.internal"
NOW = 1_795_000_000.0  # November 2026
ROOT_KEY, KEY, NODE_KEY, OTHER_KEY = pki.new_key(), pki.new_key(), pki.new_key(), pki.new_key()
ROOT = pki.make_root(ROOT_KEY, DOMAIN, NOW)
INTERMEDIATE = pki.make_intermediate(ROOT_KEY, ROOT, pki.make_request(KEY, "lab"), DOMAIN, NOW)
REQUEST = pki.make_request(NODE_KEY, "whatever it likes")
PUBLIC = pki.public_of(REQUEST)


def _issue(now: float = NOW) -> pki.Certificate:
    return pki.issue(KEY, INTERMEDIATE, REQUEST, "commune-a", PUBLIC, now)


def _openssl(folder: Path, *words: str, now: float = NOW + DAY) -> str:
    """Return the verdict of `openssl verify` on node.pem below root.pem and intermediate.pem at `now`."""
    argv = ("openssl", "verify", "-attime", str(int(now)), "-CAfile", "root.pem", "-untrusted", "intermediate.pem")
    done = subprocess.run((*argv, *words, "node.pem"), cwd=folder, capture_output=True, text=True, check=False)
    return (done.stdout + done.stderr).strip()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, certificate in (("root", ROOT), ("intermediate", INTERMEDIATE), ("node", _issue())):
        (tmp_path / f"{name}.pem").write_bytes(pki.to_pem(certificate))
    return tmp_path


@pytest.mark.parametrize("purpose", ["sslserver", "sslclient"])
def test_openssl_follows_the_chain_for_servers_and_clients(folder: Path, purpose: str) -> None:
    strict = ("-x509_strict", "-purpose", purpose, "-verify_hostname", "commune-a.lab.internal")
    assert _openssl(folder, *strict) == "node.pem: OK"


def test_openssl_refuses_another_name_and_another_time(folder: Path) -> None:
    assert "hostname mismatch" in _openssl(folder, "-verify_hostname", "commune-b.lab.internal")
    assert "certificate has expired" in _openssl(folder, now=NOW + pki.SECONDS + DAY)
    assert "not yet valid" in _openssl(folder, now=NOW - 2 * DAY)


@pytest.mark.parametrize(
    "name",
    [
        x509.DNSName("mairie.fr"),
        x509.DNSName("commune-a.other.internal"),
        x509.IPAddress(pki.ip_network("10.0.0.1")[0]),
    ],
    ids=["the world's", "another territory's", "an address"],
)
def test_whoever_has_the_intermediate_can_issue_for_no_other_names(folder: Path, name: x509.GeneralName) -> None:
    evil = (
        x509.CertificateBuilder()
        .subject_name(pki.name_of("evil"))
        .issuer_name(INTERMEDIATE.subject)
        .public_key(NODE_KEY.public_key())
        .serial_number(7)
        .not_valid_before(_issue().not_valid_before_utc)
        .not_valid_after(_issue().not_valid_after_utc)
        .add_extension(x509.SubjectAlternativeName([name]), critical=False)
        .sign(KEY, pki.hashes.SHA256())
    )
    (folder / "node.pem").write_bytes(pki.to_pem(evil))
    assert "subtree violation" in _openssl(folder)


def test_the_intermediate_makes_no_other_issuer(folder: Path) -> None:
    below = pki.make_intermediate(KEY, INTERMEDIATE, pki.make_request(OTHER_KEY, "x"), "other.internal", NOW)
    leaf = pki.issue(OTHER_KEY, below, REQUEST, "commune-a", PUBLIC, NOW)
    (folder / "node.pem").write_bytes(pki.to_pem(leaf))
    (folder / "intermediate.pem").write_bytes(pki.to_pem(INTERMEDIATE) + pki.to_pem(below))
    assert "path length constraint exceeded" in _openssl(folder)


def test_a_revoked_certificate_is_refused_by_openssl(folder: Path) -> None:
    certificate = pki.read_certificates((folder / "node.pem").read_bytes())[0]
    words = ("-crl_check", "-CRLfile", "revoked.pem")
    for revoked, said in (((), "node.pem: OK"), ((certificate,), "certificate revoked")):
        (folder / "revoked.pem").write_bytes(pki.to_pem(pki.make_list(KEY, INTERMEDIATE, revoked, NOW)))
        assert said in _openssl(folder, *words)


def test_a_request_of_another_key_is_refused() -> None:
    with pytest.raises(Refused, match="the request of commune-a does not have its TLS key of the bundle"):
        pki.issue(KEY, INTERMEDIATE, pki.make_request(OTHER_KEY, "commune-a"), "commune-a", PUBLIC, NOW)


def test_a_request_that_its_key_did_not_sign_is_refused() -> None:
    der = bytearray(REQUEST.public_bytes(pki.serialization.Encoding.DER))
    der[-1] ^= 1
    forged = x509.load_der_x509_csr(bytes(der))
    with pytest.raises(IntegrityError, match="not signed by the key in it"):
        pki.read_request(pki.to_pem(forged))
    with pytest.raises(IntegrityError, match=r"commune-a\.csr: this is not a certificate request"):
        pki.read_request(b"nothing", "commune-a.csr")


def test_an_intermediate_near_its_end_issues_nothing() -> None:
    late = NOW + pki.INTERMEDIATE_SECONDS - pki.SECONDS + DAY
    with pytest.raises(Refused, match=r"the intermediate expires on 2027-.*Make a new one"):
        _issue(late)


def test_what_another_issued_or_has_ended_is_not_believed() -> None:
    other = pki.make_root(OTHER_KEY, DOMAIN, NOW)
    with pytest.raises(IntegrityError, match=r"was not issued by CN=root of lab\.internal"):
        pki.check_issued(INTERMEDIATE, other, NOW)
    with pytest.raises(IntegrityError, match="by this machine's clock it is 20"):
        pki.check_issued(_issue(), INTERMEDIATE, NOW + pki.SECONDS + 1)
    with pytest.raises(IntegrityError, match=r"the list .* was not issued by the intermediate"):
        pki.check_list(pki.make_list(OTHER_KEY, INTERMEDIATE, (), NOW), INTERMEDIATE)


def test_the_name_and_the_life_are_ours_whatever_the_request_says() -> None:
    made = _issue()
    assert made.subject == pki.name_of("commune-a")
    assert made.not_valid_after_utc.timestamp() == NOW + pki.SECONDS
    names = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["commune-a.lab.internal"]
