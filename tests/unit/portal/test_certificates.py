"""A browser is shown the certificate of the name that it asks by, also one that came while the pages are served."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from appliance.errors import UsageError
from appliance.portal.certificates import PublicName
from appliance.portal.serve import ListenSettings
from tests.unit.portal.certificates import certificate_shown, der_of, make_certificate

OWN, PUBLIC = "hermitage.demo.internal", "restauration.mairie.example"


@pytest.fixture
def own(tmp_path: Path) -> tuple[ssl.SSLContext, Path]:
    cert, key = make_certificate(tmp_path / "own", OWN)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    return context, cert


def test_the_certificate_is_that_of_the_name_that_was_asked_for(
    tmp_path: Path, own: tuple[ssl.SSLContext, Path]
) -> None:
    context, cert = own
    public, key = make_certificate(tmp_path / "public", PUBLIC)
    context.sni_callback = PublicName(PUBLIC, public, key).choose
    assert certificate_shown(context, PUBLIC) == certificate_shown(context, PUBLIC.upper()) == der_of(public)
    for other in (OWN, "elsewhere.example", None):
        assert certificate_shown(context, other) == der_of(cert)


def test_one_that_comes_or_is_renewed_while_pages_are_served_is_shown_from_then_on(
    tmp_path: Path, own: tuple[ssl.SSLContext, Path]
) -> None:
    context, cert = own
    folder = tmp_path / "public"
    context.sni_callback = PublicName(PUBLIC, folder / "fullchain.pem", folder / "privkey.pem").choose
    assert certificate_shown(context, PUBLIC) == der_of(cert), "it has not come yet"
    first = der_of(make_certificate(folder, PUBLIC)[0])
    assert certificate_shown(context, PUBLIC) == first
    second = der_of(make_certificate(folder, PUBLIC)[0])
    assert first != second
    assert certificate_shown(context, PUBLIC) == second


@pytest.mark.parametrize("broken", ["fullchain.pem", "privkey.pem"])
def test_files_that_do_not_fit_each_other_leave_what_was_shown_before(
    tmp_path: Path, own: tuple[ssl.SSLContext, Path], broken: str
) -> None:
    context, cert = own
    public, key = make_certificate(tmp_path / "public", PUBLIC)
    (tmp_path / "public" / broken).write_text("nothing")
    context.sni_callback = PublicName(PUBLIC, public, key).choose
    assert certificate_shown(context, PUBLIC) == der_of(cert)
    good = der_of(make_certificate(tmp_path / "public", PUBLIC)[0])
    assert certificate_shown(context, PUBLIC) == good
    public.write_text("nothing")
    assert certificate_shown(context, PUBLIC) == good


def test_a_public_name_alone_is_refused(tmp_path: Path) -> None:
    cert, key = make_certificate(tmp_path / "public", PUBLIC)
    with pytest.raises(UsageError, match=r"needs the node's own"):
        ListenSettings("127.0.0.1", 8443, public=PublicName(PUBLIC, cert, key)).check()
