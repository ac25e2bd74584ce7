"""The fields of a certificate: the same as by cryptography, and a sentence for what is no certificate."""

from __future__ import annotations

import contextlib
import datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from hypothesis import given
from hypothesis import strategies as st

from appliance.errors import IntegrityError
from appliance.host.network.certificate_fields import end_of, public_key_in
from appliance.trust import pki

KEY = pki.new_key()
NOW = 1_795_000_000.0  # November 2026


def made(ends: datetime.datetime, name: str = "n") -> x509.Certificate:
    builder = x509.CertificateBuilder().subject_name(pki.name_of(name)).issuer_name(pki.name_of("i" * 60))
    builder = builder.public_key(KEY.public_key()).serial_number(1 << 150)
    return builder.not_valid_before(datetime.datetime(1999, 1, 1)).not_valid_after(ends).sign(KEY, hashes.SHA256())


def der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(pki.serialization.Encoding.DER)


@pytest.mark.parametrize(
    "ends",
    [
        datetime.datetime(2049, 12, 31, 23, 59, 59),
        datetime.datetime(2050, 1, 1),
        datetime.datetime(2026, 2, 28, 1, 2, 3),
        datetime.datetime(1999, 6, 1),
        datetime.datetime(9999, 12, 31, 23, 59, 59),
    ],
)
def test_key_and_end_are_what_cryptography_reads(ends: datetime.datetime) -> None:
    certificate = made(ends, "a long name " * 5)
    assert public_key_in(der(certificate)) == pki.public_of(certificate)
    assert end_of(b"text before\n" + pki.to_pem(certificate)) == certificate.not_valid_after_utc.timestamp()


def test_the_first_certificate_of_a_chain_counts() -> None:
    root = pki.make_root(KEY, "lab.internal", NOW)
    chain = pki.to_pem(made(datetime.datetime(2030, 1, 1))) + pki.to_pem(root)
    assert end_of(chain) == datetime.datetime(2030, 1, 1, tzinfo=datetime.UTC).timestamp()
    assert public_key_in(der(root)) == pki.public_of(root)


@pytest.mark.parametrize("raw", [b"", b"0", b"0\x82", b"\x30\x03\x30\x01", b"x" * 300])
def test_what_is_no_certificate_is_refused_with_a_sentence(raw: bytes) -> None:
    pem = b"-----BEGIN CERTIFICATE-----\n" + raw + b"\n-----END CERTIFICATE-----\n"
    for read in (lambda: public_key_in(raw), lambda: end_of(raw), lambda: end_of(pem)):
        with pytest.raises(IntegrityError, match="not a certificate of TLS"):
            read()


CUT = der(made(datetime.datetime(2030, 1, 1)))


@given(st.integers(0, len(CUT) - 1), st.integers(0, 255))
def test_a_changed_byte_gives_a_field_or_a_refusal_and_no_other_error(place: int, byte: int) -> None:
    raw = CUT[:place] + bytes((byte,)) + CUT[place + 1 :]
    with contextlib.suppress(IntegrityError):
        assert public_key_in(raw)


@given(st.integers(0, 200))
def test_a_certificate_that_was_cut_before_its_key_is_refused(length: int) -> None:
    with pytest.raises(IntegrityError):
        public_key_in(CUT[:length])
