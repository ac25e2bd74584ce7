"""A browser is shown the certificate of the name that it asks by, also one that came while the pages are served."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from appliance.errors import UsageError
from appliance.host.command import run
from appliance.portal.certificates import PublicName
from appliance.portal.serve import ListenSettings

OWN, PUBLIC = "hermitage.demo.internal", "restauration.mairie.example"


def make(folder: Path, name: str, kind: str = "ed25519") -> tuple[Path, Path]:
    """A certificate for `name` and 127.0.0.1, and its key of this kind, in `folder`."""
    cert, key = folder / "fullchain.pem", folder / "privkey.pem"
    folder.mkdir(exist_ok=True)
    words = ("openssl", "req", "-x509", "-newkey", kind, "-nodes", "-days", "1", "-subj", f"/CN={name}")
    words = (*words, "-addext", f"subjectAltName=DNS:{name},IP:127.0.0.1", "-out", str(cert), "-keyout", str(key))
    run(words, timeout_seconds=30, check=True)
    return cert, key


def shown(context: ssl.SSLContext, name: str | None) -> bytes:
    """The certificate that a client is shown who asks by `name`."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    trusting = ssl.create_default_context()
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
    client = trusting.wrap_bio(to_client, to_server, server_hostname=name)
    server = context.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(3):
        for side in (client, server):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    found = client.getpeercert(binary_form=True)
    assert found is not None
    return found


def der(cert: Path) -> bytes:
    return ssl.PEM_cert_to_DER_cert(cert.read_text())


@pytest.fixture
def own(tmp_path: Path) -> tuple[ssl.SSLContext, Path]:
    cert, key = make(tmp_path / "own", OWN)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    return context, cert


def test_the_certificate_is_that_of_the_name_that_was_asked_for(
    tmp_path: Path, own: tuple[ssl.SSLContext, Path]
) -> None:
    context, cert = own
    public, key = make(tmp_path / "public", PUBLIC)
    context.sni_callback = PublicName(PUBLIC, public, key).choose
    assert shown(context, PUBLIC) == shown(context, PUBLIC.upper()) == der(public)
    for other in (OWN, "elsewhere.example", None):
        assert shown(context, other) == der(cert)


def test_one_that_comes_or_is_renewed_while_pages_are_served_is_shown_from_then_on(
    tmp_path: Path, own: tuple[ssl.SSLContext, Path]
) -> None:
    context, cert = own
    folder = tmp_path / "public"
    context.sni_callback = PublicName(PUBLIC, folder / "fullchain.pem", folder / "privkey.pem").choose
    assert shown(context, PUBLIC) == der(cert), "it has not come yet"
    first = der(make(folder, PUBLIC)[0])
    assert shown(context, PUBLIC) == first
    second = der(make(folder, PUBLIC)[0])
    assert first != second
    assert shown(context, PUBLIC) == second


@pytest.mark.parametrize("broken", ["fullchain.pem", "privkey.pem"])
def test_files_that_do_not_fit_each_other_leave_what_was_shown_before(
    tmp_path: Path, own: tuple[ssl.SSLContext, Path], broken: str
) -> None:
    context, cert = own
    public, key = make(tmp_path / "public", PUBLIC)
    (tmp_path / "public" / broken).write_text("nothing")
    context.sni_callback = PublicName(PUBLIC, public, key).choose
    assert shown(context, PUBLIC) == der(cert)
    good = der(make(tmp_path / "public", PUBLIC)[0])
    assert shown(context, PUBLIC) == good
    public.write_text("nothing")
    assert shown(context, PUBLIC) == good


def test_a_public_name_alone_is_refused(tmp_path: Path) -> None:
    cert, key = make(tmp_path / "public", PUBLIC)
    with pytest.raises(UsageError, match=r"needs the node's own"):
        ListenSettings("127.0.0.1", 8443, public=PublicName(PUBLIC, cert, key)).check()
