"""The certificate of this node, as programs that speak TLS find it: taken only when it is right in every part.

tls/certificate.pem   the node's and the intermediate's, in the order that servers want
tls/key.pem           the private key of that certificate: while keys are changed, keys/tls.pem may be a newer one
tls/root.pem          the authority to believe; the signed bundle names it
tls/revoked.pem       the certificates not to believe any more: etcd asks it, our programs ask the bundle
"""

from __future__ import annotations

import re

from cryptography import x509

from appliance.errors import IntegrityError
from appliance.host.files import make_private_folder, write_atomic
from appliance.host.layout import NodeLayout
from appliance.provision.authority import check_root
from appliance.trust import pki
from appliance.trust.bundle import Bundle

PEM = re.compile(rb"-----BEGIN X509 CRL-----.*?-----END X509 CRL-----\n", re.DOTALL)


def request(layout: NodeLayout, name: str) -> bytes:
    """Return the certificate request of this node, PEM."""
    file = layout.keys / "tls.pem"
    return pki.to_pem(pki.make_request(pki.read_key(file.read_bytes(), str(file)), name))


def accept(layout: NodeLayout, bundle: Bundle, name: str, raw: bytes, now: float) -> tuple[str, ...]:
    """Take the chain `raw` (node, intermediate, root, list of revoked ones); which files changed.

    Raise IntegrityError, and keep what is there, when the bundle does not name the root, when one did not issue the
    next, when it is for another key than this node's, or when the list is not the intermediate's.
    """
    certificates = pki.read_certificates(raw)
    lists = PEM.findall(raw)
    if len(certificates) != 3 or len(lists) != 1:
        raise IntegrityError("this is not a chain of three certificates and a list of revoked ones.")
    own, intermediate, root = certificates
    check_root(root, bundle)
    pki.check_issued(intermediate, root, now)
    pki.check_issued(own, intermediate, now)
    if pki.public_of(own) != bundle.member(name).keys.tls or own.subject != pki.name_of(name):
        raise IntegrityError(f"the certificate is not for the TLS key of {name}.")
    pki.check_list(x509.load_pem_x509_crl(lists[0]), intermediate)
    wanted = {
        "key.pem": (layout.keys / "tls.pem").read_bytes(),
        "root.pem": pki.to_pem(root),
        "revoked.pem": lists[0],
        "certificate.pem": pki.to_pem(own) + pki.to_pem(intermediate),
    }
    folder = make_private_folder(layout.tls)
    folder.chmod(0o755)
    changed = [file for file, text in wanted.items() if not _has(layout, file, text)]
    for file in changed:
        write_atomic(folder / file, wanted[file], mode=0o600 if file == "key.pem" else 0o644)
    return tuple(str(folder / file) for file in changed)


def _has(layout: NodeLayout, file: str, text: bytes) -> bool:
    path = layout.tls / file
    return path.exists() and path.read_bytes() == text
