"""Our signatures are ssh-keygen's and the other way round, and each has one form only."""

from __future__ import annotations

import base64
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from appliance.errors import IntegrityError
from appliance.trust import sshsig
from appliance.trust.keys import create_key, load_key, public_line

NAMESPACE = "appliance/test"
MESSAGE = '{"commune": "Attichy", "élèves": 12}\n'.encode()
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = public_line(KEY)


def _ssh_keygen(*words: str, stdin: bytes = MESSAGE) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(("ssh-keygen", "-Y", *words), input=stdin, capture_output=True, timeout=30, check=False)


@pytest.fixture(scope="module")
def key_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("keys") / "key_ed25519"
    create_key(path)
    return path


def _verify(tmp_path: Path, public: str, signature: bytes, namespace: str = NAMESPACE, message: bytes = MESSAGE) -> int:
    (tmp_path / "allowed").write_text(f"signer {public}\n")
    (tmp_path / "sig").write_bytes(signature)
    words = ("verify", "-f", str(tmp_path / "allowed"), "-I", "signer", "-n", namespace, "-s", str(tmp_path / "sig"))
    return _ssh_keygen(*words, stdin=message).returncode


def test_ssh_keygen_reads_our_keys(key_file: Path) -> None:
    shown = subprocess.run(("ssh-keygen", "-y", "-f", str(key_file)), capture_output=True, text=True, check=True)
    assert shown.stdout.split()[:2] == public_line(load_key(key_file)).split()


@pytest.mark.parametrize("message", [MESSAGE, b"", b"\0\xff" * 5000], ids=["line", "empty", "bytes"])
def test_ssh_keygen_verifies_what_we_sign(key_file: Path, tmp_path: Path, message: bytes) -> None:
    key = load_key(key_file)
    signature = sshsig.sign(key, NAMESPACE, message)
    assert _verify(tmp_path, public_line(key), signature, message=message) == 0
    assert _verify(tmp_path, public_line(key), signature, message=message + b"x") != 0
    assert _verify(tmp_path, public_line(key), signature, "appliance/other", message) != 0
    assert _verify(tmp_path, PUBLIC, signature, message=message) != 0


@pytest.mark.parametrize("message", [MESSAGE, b"", b"\0\xff" * 5000], ids=["line", "empty", "bytes"])
def test_we_verify_what_ssh_keygen_signs_and_write_the_same_bytes(key_file: Path, message: bytes) -> None:
    signed = _ssh_keygen("sign", "-q", "-f", str(key_file), "-n", NAMESPACE, stdin=message)
    key = load_key(key_file)
    assert sshsig.verify(signed.stdout, NAMESPACE, message) == public_line(key)
    assert sshsig.sign(key, NAMESPACE, message) == signed.stdout


def test_a_signature_with_the_other_hash_of_ssh_keygen_verifies(key_file: Path) -> None:
    signed = _ssh_keygen("sign", "-q", "-f", str(key_file), "-n", NAMESPACE, "-O", "hashalg=sha256")
    assert sshsig.verify(signed.stdout, NAMESPACE, MESSAGE) == public_line(load_key(key_file))


def test_an_rsa_signature_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "rsa"
    subprocess.run(("ssh-keygen", "-q", "-t", "rsa", "-b", "2048", "-N", "", "-f", str(path)), check=True, timeout=60)
    signed = _ssh_keygen("sign", "-q", "-f", str(path), "-n", NAMESPACE)
    with pytest.raises(IntegrityError, match="ssh-rsa is not a key type used here"):
        sshsig.verify(signed.stdout, NAMESPACE, MESSAGE)


GOOD = sshsig.sign(KEY, NAMESPACE, MESSAGE)
BLOB = base64.b64decode(b"".join(GOOD.split(b"\n")[1:-2]))


def _armoured(blob: bytes, width: int = 70) -> bytes:
    text = base64.b64encode(blob)
    lines = [text[at : at + width] for at in range(0, len(text), width)]
    return b"\n".join((sshsig.BEGIN, *lines, sshsig.END)) + b"\n"


def _string(data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + data


PUBLIC_BLOB = base64.b64decode(PUBLIC.split()[1])
SIGNATURE_BLOB = BLOB[-(4 + 83) :][4:]


def _blob(
    *,
    version: int = 1,
    public: bytes = PUBLIC_BLOB,
    namespace: bytes = NAMESPACE.encode(),
    reserved: bytes = b"",
    hash_name: bytes = b"sha512",
    signature: bytes = SIGNATURE_BLOB,
    after: bytes = b"",
) -> bytes:
    fields = (public, namespace, reserved, hash_name, signature)
    return b"SSHSIG" + version.to_bytes(4, "big") + b"".join(_string(field) for field in fields) + after


FORM = "does not have the format of ssh-keygen"
BAD: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "there is no SSH signature"),
    "text": (b"hello\n", "there is no SSH signature"),
    "no end": (GOOD[:-30], "there is no SSH signature"),
    "no last end of line": (GOOD[:-1], "there is no SSH signature"),
    "no content": (sshsig.BEGIN + b"\n" + sshsig.END + b"\n", "there is no SSH signature"),
    "not base64": (GOOD.replace(b"U1NI", b"U1N!"), "the signature is not base64"),
    "another version": (_armoured(_blob(version=2)), "unknown version"),
    "another magic": (_armoured(b"SSHSIX" + BLOB[6:]), "unknown version"),
    "cut in its fields": (_armoured(BLOB[:-10]), "the signature is cut short"),
    "cut in a length": (_armoured(BLOB[:12]), "the signature is cut short"),
    "a length beyond its end": (_armoured(BLOB[:10] + b"\xff\xff\xff\xff" + BLOB[14:]), "the signature is cut short"),
    "bytes after its end": (_armoured(_blob(after=b"x")), "unsigned bytes"),
    "a reserved field": (_armoured(_blob(reserved=b"x")), "unsigned bytes"),
    "another namespace": (_armoured(_blob(namespace=b"appliance/other")), "is for 'appliance/other', not"),
    "an unknown hash": (_armoured(_blob(hash_name=b"md5")), "the signature uses an unknown hash"),
    "the other hash": (_armoured(_blob(hash_name=b"sha256")), "the signature does not match its content"),
    "another key": (
        _armoured(_blob(public=base64.b64decode(public_line(Ed25519PrivateKey.generate()).split()[1]))),
        "the signature does not match its content",
    ),
    "a key of another type": (
        _armoured(_blob(public=_string(b"ssh-rsa") + _string(bytes(32)))),
        "ssh-rsa is not a key type used here",
    ),
    "a key that is too short": (
        _armoured(_blob(public=_string(b"ssh-ed25519") + _string(bytes(31)))),
        "the signature does not match its content",
    ),
    "a key with more behind it": (_armoured(_blob(public=PUBLIC_BLOB + b"x")), "is not a key type used here"),
    "a signature of zeros": (
        _armoured(_blob(signature=_string(b"ssh-ed25519") + _string(bytes(64)))),
        "the signature does not match its content",
    ),
    # One signature, written otherwise: a node that hands a document on must not be able to give it another hash.
    "wrapped otherwise": (_armoured(BLOB, width=76), FORM),
    "on one line": (_armoured(BLOB, width=10_000), FORM),
    "an empty line": (GOOD.replace(b"\n", b"\n\n", 1), FORM),
    "ends of line of another system": (GOOD.replace(b"\n", b"\r\n"), "there is no SSH signature"),
    "a space": (GOOD.replace(b"SIGNATURE-----\n", b"SIGNATURE----- \n", 1), "there is no SSH signature"),
    "an empty line after it": (GOOD + b"\n", "there is no SSH signature"),
    "an empty line before it": (b"\n" + GOOD, "there is no SSH signature"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_signature_of_this_is_refused(name: str) -> None:
    armoured, sentence = BAD[name]
    with pytest.raises(IntegrityError, match=sentence):
        sshsig.verify(armoured, NAMESPACE, MESSAGE)


def test_the_table_starts_from_a_signature_that_verifies() -> None:
    assert _armoured(_blob()) == GOOD
    assert sshsig.verify(GOOD, NAMESPACE, MESSAGE) == PUBLIC


def test_the_second_signature_that_the_group_order_allows_is_refused() -> None:
    """S + L verifies in careless implementations: a second signature without the key."""
    order = 2**252 + 27742317777372353535851937790883648493
    raw = SIGNATURE_BLOB[-64:]
    scalar = int.from_bytes(raw[32:], "little") + order
    other = _string(b"ssh-ed25519") + _string(raw[:32] + scalar.to_bytes(32, "little"))
    with pytest.raises(IntegrityError, match="does not match its content"):
        sshsig.verify(_armoured(_blob(signature=other)), NAMESPACE, MESSAGE)


@given(st.binary(max_size=300))
def test_any_bytes_are_refused_with_a_sentence(data: bytes) -> None:
    with pytest.raises(IntegrityError):
        sshsig.verify(_armoured(data), NAMESPACE, MESSAGE)


@given(at=st.integers(0, len(BLOB) - 1), bit=st.integers(0, 7))
def test_one_flipped_bit_anywhere_is_refused(at: int, bit: int) -> None:
    changed = bytearray(BLOB)
    changed[at] ^= 1 << bit
    with pytest.raises(IntegrityError):
        sshsig.verify(_armoured(bytes(changed)), NAMESPACE, MESSAGE)
