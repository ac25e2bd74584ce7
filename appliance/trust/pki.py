"""TLS inside the territory: a root that is kept offline, an intermediate that issues, certificates of nodes, a list of
revoked ones.

A certificate says nothing that the signed bundle does not say: the key is the one that the node has there, the name is
the node's under its domain. A request only proves that the node has that key. The intermediate may issue for this
territory alone (name constraints), and for a year; nodes' certificates last SECONDS and are renewed at half of that.
"""

from __future__ import annotations

import base64
import datetime
from collections.abc import Iterable
from ipaddress import ip_network

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from appliance.clock import utc_text
from appliance.errors import IntegrityError, Refused
from appliance.units import DAY

ROOT_SECONDS = 20 * 365 * DAY
INTERMEDIATE_SECONDS = 365 * DAY
SECONDS = 60 * DAY
RENEW_SECONDS = 30 * DAY
EARLIER_SECONDS = DAY
"""How much earlier a certificate begins: a clock may be late."""
Key = ec.EllipticCurvePrivateKey
PublicKey = ec.EllipticCurvePublicKey
Certificate = x509.Certificate


def new_key() -> Key:
    """P-256, which every browser and Go's TLS accept."""
    return ec.generate_private_key(ec.SECP256R1())


def key_to_pem(key: Key) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def read_key(raw: bytes, where: str = "") -> Key:
    """The private key in `raw`; raise IntegrityError, naming the file `where`, for anything else."""
    try:
        key = serialization.load_pem_private_key(raw, password=None)
    except (ValueError, TypeError) as error:
        raise IntegrityError("this is not an unencrypted private key in PEM.", where=where) from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise IntegrityError("this is not a key on an elliptic curve.", where=where)
    return key


def read_certificates(raw: bytes, where: str = "") -> list[Certificate]:
    """The certificates in `raw`, PEM, in their order."""
    try:
        return x509.load_pem_x509_certificates(raw)
    except ValueError as error:
        raise IntegrityError("these are not certificates in PEM.", where=where) from error


def to_pem(thing: Certificate | x509.CertificateSigningRequest | x509.CertificateRevocationList) -> bytes:
    return thing.public_bytes(serialization.Encoding.PEM)


def public_of(thing: Certificate | x509.CertificateSigningRequest) -> str:
    """The public key in `thing` as the bundle has it: base64 of its DER."""
    der = thing.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(der).decode()


def fingerprint_of(certificate: Certificate) -> str:
    """SHA-256 of the whole certificate in hex, as `openssl x509 -fingerprint -sha256` shows it without colons."""
    return certificate.fingerprint(hashes.SHA256()).hex()


def make_root(key: Key, domain: str, now: float) -> Certificate:
    name = name_of(f"root of {domain}")
    builder = _builder(name, name, key.public_key(), now, ROOT_SECONDS)
    builder = _authority(builder, key.public_key(), path_length=1)
    return builder.sign(key, hashes.SHA256())


def make_request(key: Key, name: str) -> x509.CertificateSigningRequest:
    """A request by the owner of `key`; the name is for people, nobody believes it."""
    return x509.CertificateSigningRequestBuilder().subject_name(name_of(name)).sign(key, hashes.SHA256())


def read_request(raw: bytes, where: str = "") -> x509.CertificateSigningRequest:
    """The request in `raw`, signed by the key in it; raise IntegrityError for anything else."""
    try:
        request = x509.load_pem_x509_csr(raw)
    except ValueError as error:
        raise IntegrityError("this is not a certificate request in PEM.", where=where) from error
    if not request.is_signature_valid:
        raise IntegrityError("the request is not signed by the key in it.", where=where)
    return request


def make_intermediate(
    root_key: Key, root: Certificate, request: x509.CertificateSigningRequest, domain: str, now: float
) -> Certificate:
    """The certificate of the key in `request`: it may issue names of this territory and no addresses."""
    public = _elliptic(request)
    builder = _builder(name_of(f"nodes of {domain}"), root.subject, public, now, INTERMEDIATE_SECONDS)
    builder = _authority(builder, public, path_length=0).add_extension(_issuer(root_key), critical=False)
    return builder.add_extension(_only_of(domain), critical=True).sign(root_key, hashes.SHA256())


def issue(
    key: Key, issuer: Certificate, request: x509.CertificateSigningRequest, node: str, public: str, now: float
) -> Certificate:
    """The certificate of `node`, whose TLS key is `public` in the bundle; raise Refused when `request` is of another
    key or the intermediate does not live long enough."""
    if public_of(request) != public:
        raise Refused(
            f"the request of {node} does not have its TLS key of the bundle.",
            remedy="Collect its keys and sign the territory again, or find out who sent the request.",
        )
    if issuer.not_valid_after_utc.timestamp() < now + SECONDS:
        raise Refused(
            f"the intermediate expires on {issuer.not_valid_after_utc:%Y-%m-%d}, before a certificate issued today "
            "would.",
            remedy="Make a new one: `appliance pki begin`, then the holder of the root key types "
            "`appliance pki sign --root root.key`.",
        )
    builder = _builder(name_of(node), issuer.subject, _elliptic(request), now, SECONDS)
    names = x509.SubjectAlternativeName([x509.DNSName(f"{node}.{_domain_in(issuer)}")])
    purposes = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
    return (
        builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(digital_signature=True), critical=True)
        .add_extension(purposes, critical=False)
        .add_extension(names, critical=False)
        .add_extension(_issuer(key), critical=False)
        .sign(key, hashes.SHA256())
    )


def make_list(
    key: Key, issuer: Certificate, revoked: Iterable[Certificate], now: float
) -> x509.CertificateRevocationList:
    """The certificates of `issuer` that nobody must believe any more, good until it is renewed."""
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuer.subject)
        .last_update(_time(now - EARLIER_SECONDS))
        .next_update(_time(now + SECONDS))
        .add_extension(x509.CRLNumber(int(now)), critical=False)
        .add_extension(_issuer(key), critical=False)
    )
    for certificate in revoked:
        entry = x509.RevokedCertificateBuilder().serial_number(certificate.serial_number)
        builder = builder.add_revoked_certificate(entry.revocation_date(_time(now)).build())
    return builder.sign(key, hashes.SHA256())


def check_issued(certificate: Certificate, issuer: Certificate, now: float) -> None:
    """Raise IntegrityError unless `issuer` issued `certificate`, which is valid now."""
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature) as error:
        who, by = certificate.subject.rfc4514_string(), issuer.subject.rfc4514_string()
        raise IntegrityError(f"the certificate of {who} was not issued by {by}.") from error
    if not is_valid(certificate, now):
        whose = certificate.subject.rfc4514_string()
        lasts = f"from {certificate.not_valid_before_utc:%Y-%m-%d} to {certificate.not_valid_after_utc:%Y-%m-%d}"
        raise IntegrityError(
            f"the certificate of {whose} is valid {lasts}, but by this machine's clock it is {utc_text(now)[:10]}.",
            remedy="Set the clock if it is wrong (`timedatectl`); else have a new one issued: `appliance internal pki "
            "due`.",
        )


def check_list(made: x509.CertificateRevocationList, issuer: Certificate) -> None:
    """Raise IntegrityError unless `issuer` signed the list `made`."""
    if made.issuer != issuer.subject or not made.is_signature_valid(_elliptic(issuer)):
        raise IntegrityError("the list of revoked certificates was not issued by the intermediate.")


def is_valid(certificate: Certificate, now: float) -> bool:
    return certificate.not_valid_before_utc.timestamp() <= now < certificate.not_valid_after_utc.timestamp()


def _domain_in(issuer: Certificate) -> str:
    """The domain for which `issuer` may issue."""
    permitted = issuer.extensions.get_extension_for_class(x509.NameConstraints).value.permitted_subtrees or ()
    return next(str(it.value) for it in permitted if isinstance(it, x509.DNSName))


def _only_of(domain: str) -> x509.NameConstraints:
    every = (ip_network("0.0.0.0/0"), ip_network("::/0"))
    return x509.NameConstraints([x509.DNSName(domain)], [x509.IPAddress(it) for it in every])


def _elliptic(thing: Certificate | x509.CertificateSigningRequest) -> PublicKey:
    key = thing.public_key()
    if not isinstance(key, PublicKey):
        raise IntegrityError("the key is not on an elliptic curve.")
    return key


def name_of(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _time(seconds: float) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(int(seconds), datetime.UTC)


def _builder(
    subject: x509.Name, issuer: x509.Name, public: PublicKey, now: float, seconds: float
) -> x509.CertificateBuilder:
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(public)
    builder = builder.serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(_time(now - EARLIER_SECONDS)).not_valid_after(_time(now + seconds))
    return builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)


def _authority(builder: x509.CertificateBuilder, public: PublicKey, *, path_length: int) -> x509.CertificateBuilder:
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=path_length), critical=True)
    return builder.add_extension(_usage(key_cert_sign=True, crl_sign=True), critical=True)


def _issuer(key: Key) -> x509.AuthorityKeyIdentifier:
    return x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key())


def _usage(**wanted: bool) -> x509.KeyUsage:
    every = (
        "digital_signature",
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
        "key_cert_sign",
        "crl_sign",
        "encipher_only",
        "decipher_only",
    )
    return x509.KeyUsage(**{name: wanted.get(name, False) for name in every})
