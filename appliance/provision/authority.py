"""The folder of the certificate authority, beside territory.yml on the control machine:

    pki/root.pem          the root, which the bundle names by its fingerprint; its key is with the territory's key
    pki/intermediate.pem  what issues; intermediate.csr asked for it; intermediate.key is encrypted by ansible-vault
    pki/requests/NODE.csr what a node asked with; nodes/NODE.pem what it got; issued/SERIAL.pem all that were issued
    pki/revoked.pem       the list of those that nobody must believe any more
    pki/chains/NODE.pem   all that a node gets: its certificate, its issuers, that list

Everything here but the key is public. Due certificates are listed without the key, so an ordinary run needs no
password.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509

from appliance.errors import ApplianceError, IntegrityError, NotFound
from appliance.host.files import make_private_folder, write_atomic
from appliance.trust import pki
from appliance.trust.bundle import Bundle, Member

FOLDER = "pki"
ROOT, INTERMEDIATE, REVOKED = "root.pem", "intermediate.pem", "revoked.pem"


@dataclass(frozen=True)
class Due:
    """`nodes` want a certificate; `revoked`: the list of revoked ones is old or lacks one."""

    nodes: tuple[str, ...]
    revoked: bool


@dataclass(frozen=True)
class Authority:
    """`root` and `intermediate` are checked against each other and against the bundle."""

    folder: Path
    bundle: Bundle
    root: pki.Certificate
    intermediate: pki.Certificate

    def due(self, now: float) -> Due:
        """Return what is to be issued at `now`, seconds UTC."""
        wanting = tuple(name for name in sorted(self.bundle.members) if self._wants(name, now))
        return Due(wanting, self._list_is_due(now))

    def issue(self, key: pki.Key, now: float) -> Due:
        """Issue what is due; raise what is wrong with a request, once all others are served."""
        self._check_key(key)
        due, failures, served = self.due(now), list[ApplianceError](), list[str]()
        for name in due.nodes:
            try:
                self._issue(key, name, now)
                served.append(name)
            except ApplianceError as error:
                failures.append(error)
        if due.revoked:
            made = pki.make_list(key, self.intermediate, self._taken_back(), now)
            write_atomic(self.folder / REVOKED, pki.to_pem(made))
        self.write_chains()
        if failures:
            raise failures[0]
        return Due(tuple(served), due.revoked)

    def _issue(self, key: pki.Key, name: str, now: float) -> None:
        file = self.folder / "requests" / f"{name}.csr"
        try:
            request = pki.read_request(file.read_bytes(), str(file))
        except FileNotFoundError as error:
            raise NotFound(
                f"{name} has no certificate request.", where=str(file), remedy="Run the playbook `site` again."
            ) from error
        made = pki.issue(key, self.intermediate, request, name, self.bundle.member(name).keys.tls, now)
        # Kept before it is given: what was issued can be revoked.
        for folder, called in (("issued", f"{made.serial_number:x}"), ("nodes", name)):
            write_atomic(make_private_folder(self.folder / folder) / f"{called}.pem", pki.to_pem(made))

    def _wants(self, name: str, now: float) -> bool:
        member = self.bundle.members[name]
        if not member.keys.tls:
            return False  # made before there were any
        return not any(
            self._is_good(certificate, member, now)
            for certificate in _certificates(self.folder / "nodes" / f"{name}.pem")
        )

    def _is_good(self, certificate: pki.Certificate, member: Member, now: float) -> bool:
        ours = pki.public_of(certificate) == member.keys.tls and certificate.issuer == self.intermediate.subject
        if not ours or certificate.not_valid_after_utc.timestamp() < now + pki.RENEW_SECONDS:
            return False
        with contextlib.suppress(IntegrityError):
            pki.check_issued(certificate, self.intermediate, now)
            return True
        return False

    def _taken_back(self) -> Iterator[pki.Certificate]:
        """The certificates for keys that the bundle took back, or that no node has any more."""
        present = {member.keys.tls for member in self.bundle.members.values()}
        for file in sorted((self.folder / "issued").glob("*.pem")):
            yield from (it for it in _certificates(file) if pki.public_of(it) not in present)

    def _list_is_due(self, now: float) -> bool:
        file = self.folder / REVOKED
        if not file.exists():
            return True
        made = x509.load_pem_x509_crl(file.read_bytes())
        after = made.next_update_utc
        listed = {it.serial_number for it in made}
        lacking = any(it.serial_number not in listed for it in self._taken_back())
        old = after is None or after.timestamp() < now + pki.RENEW_SECONDS
        return lacking or old or not self._is_ours(made)

    def _is_ours(self, made: x509.CertificateRevocationList) -> bool:
        """A former intermediate has the same name, and nodes refuse its list."""
        with contextlib.suppress(IntegrityError):
            pki.check_list(made, self.intermediate)
            return True
        return False

    def _check_key(self, key: pki.Key) -> None:
        if pki.public_of(self.intermediate) != pki.public_of(pki.make_request(key, "check")):
            raise IntegrityError("this is not the key of the intermediate.", where=str(self.folder / INTERMEDIATE))

    def write_chains(self) -> None:
        """Write for each node that has a certificate what it gets, as chains/NODE.pem."""
        folder = make_private_folder(self.folder / "chains")
        for name in sorted(self.bundle.members):
            if (self.folder / "nodes" / f"{name}.pem").exists():
                files = (f"nodes/{name}.pem", INTERMEDIATE, ROOT, REVOKED)
                write_atomic(folder / f"{name}.pem", b"".join((self.folder / file).read_bytes() for file in files))


def open_authority(folder: Path, bundle: Bundle, now: float) -> Authority:
    """The authority in `folder`; raise NotFound where there is none yet, IntegrityError for another root than the
    bundle's or an intermediate that is not its."""
    found = {name: list(_certificates(folder / name)) for name in (ROOT, INTERMEDIATE)}
    for name, certificates in found.items():
        if len(certificates) != 1:
            raise NotFound(
                "there is no intermediate here yet to issue certificates.",
                where=str(folder / name),
                remedy="Start with `appliance pki begin`; then the holder of the root key types: "
                "`appliance pki sign --root root.key`.",
            )
    (root,), (intermediate,) = found[ROOT], found[INTERMEDIATE]
    check_root(root, bundle)
    pki.check_issued(intermediate, root, now)
    return Authority(folder, bundle, root, intermediate)


def check_root(root: pki.Certificate, bundle: Bundle) -> None:
    """Raise IntegrityError unless the territory's key signed for this root."""
    if pki.fingerprint_of(root) != bundle.ca:
        raise IntegrityError(
            f"the bundle {'names another root' if bundle.ca else 'names no root'} than the one here.",
            remedy="The holder of the territory key signs it with pki/root.pem beside territory.yml.",
        )


def _certificates(file: Path) -> list[pki.Certificate]:
    return pki.read_certificates(file.read_bytes(), str(file)) if file.exists() else []
