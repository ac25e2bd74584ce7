"""First contact with a machine of which only an address and the fingerprint of its host key are known.

Invariant: nothing of ours is sent before the host key was compared. SSH proves that the other side has the key before
anybody logs in; only then do we say who we are.
"""

from __future__ import annotations

import base64
import hashlib
import logging
import re
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import paramiko
from paramiko.ssh_exception import IncompatiblePeer  # type: ignore[attr-defined]  # the stubs have forgotten it

from appliance.errors import ApplianceError, Forbidden, IntegrityError, Unreachable, UsageError
from appliance.host.network.route import Route, open_command
from appliance.secret import Secret

FINGERPRINT = re.compile(r"SHA256:[A-Za-z0-9+/]{43}")
CONNECT_SECONDS = 10.0
ANSWER_SECONDS = 30.0
# A machine has a key of each kind, and a person who reads the fingerprint on its screen may read any of them.
KINDS = ("ssh-ed25519", "ecdsa-sha2-nistp256", "rsa-sha2-512")
# Adds the line on standard input, once. The key is not in the arguments, which everybody on the machine may read.
ADD_KEY = (
    "umask 077 && mkdir -p .ssh && IFS= read -r line && "
    '{ grep -qxF -e "$line" .ssh/authorized_keys 2>/dev/null || printf "%s\\n" "$line" >>.ssh/authorized_keys; }'
)


def check_fingerprint(text: str) -> str:
    """`text` when it has the form that `ssh-keygen -l` prints; raise UsageError otherwise."""
    if not FINGERPRINT.fullmatch(text):
        remedy = "On the machine's own screen: ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub"
        raise UsageError(
            f'"{text}" is not a fingerprint; a fingerprint is SHA256: and 43 letters and digits.', remedy=remedy
        )
    return text


@contextmanager
def met(route: Route, fingerprint: str) -> Iterator[paramiko.Transport]:
    """A connection to the machine at `route` whose host key has `fingerprint`; nobody is logged in yet.

    Raise IntegrityError, with nothing sent, when the machine there has no such key; Unreachable when nothing answers.
    """
    seen = []
    for kind in KINDS:
        transport = _shake_hands(route, kind)
        if transport is None:
            continue
        with transport:
            seen.append(_fingerprint(transport.get_remote_server_key()))
            if seen[-1] == fingerprint:
                yield transport
                return
    if not seen:
        raise IntegrityError("the machine has no host key of an accepted type.", where=route.place)
    raise IntegrityError(
        f"that machine has the host key {seen[0]}, not {fingerprint}. Nothing was sent.",
        where=route.place,
        remedy="Read it again on the machine's own screen; if it differs, another machine answers in its place.",
    )


def host_key_line(transport: paramiko.Transport) -> str:
    """The compared host key as in known_hosts, without a name."""
    key = transport.get_remote_server_key()
    return f"{key.get_name()} {key.get_base64()}"


def log_in_by_key(transport: paramiko.Transport, user: str, identity: Path | None, route: Route) -> None:
    """Log in with the key in the file `identity`, by default with those that OpenSSH would use on `route`.

    Raise Forbidden when the machine takes none of them.
    """
    for key in _keys(identity, route):
        with suppress(paramiko.AuthenticationException):
            transport.auth_publickey(user, key)
            return
    raise Forbidden(
        f"the machine accepts none of our keys for {user}.", remedy="Add --install-key KEY.pub to install one."
    )


def log_in_by_password(transport: paramiko.Transport, user: str, password: Secret) -> None:
    """Raise Forbidden when the machine does not take it; its sshd may refuse passwords for root altogether."""
    try:
        transport.auth_password(user, password.reveal().decode())
    except paramiko.SSHException as error:
        remedy = (
            "Debian's sshd accepts no password for root: put the key into ~root/.ssh/authorized_keys on its console."
        )
        raise Forbidden(f"the machine does not accept this password for {user}.", remedy=remedy) from error


def install_key(transport: paramiko.Transport, line: str) -> None:
    """Let the public key `line` log in to the account that is logged in; once, however often it is said."""
    run(transport, ADD_KEY, stdin=line.encode() + b"\n")


def run(transport: paramiko.Transport, command: str, *, stdin: bytes = b"") -> bytes:
    """Return the output of `command`; raise ApplianceError with the end of its errors when it fails."""
    with transport.open_session(timeout=ANSWER_SECONDS) as channel:
        channel.settimeout(ANSWER_SECONDS)
        channel.exec_command(command)
        channel.sendall(stdin)
        channel.shutdown_write()
        answer = channel.makefile("rb").read()
        errors = channel.makefile_stderr("rb").read()
        if code := channel.recv_exit_status():
            raise ApplianceError(f"a command there exited with {code}: {errors.decode(errors='replace').strip()}")
        return answer


def _shake_hands(route: Route, kind: str) -> paramiko.Transport | None:
    """A connection over a host key of `kind`; None when the machine has none."""
    # paramiko logs what it raises as well, with a traceback, which lands on the terminal.
    logging.getLogger("paramiko").setLevel(logging.CRITICAL + 1)
    transport = paramiko.Transport(_connect(route))
    try:
        transport.get_security_options().key_types = (kind,)
        transport.start_client(timeout=ANSWER_SECONDS)
    except IncompatiblePeer:
        transport.close()
        return None
    except (paramiko.SSHException, EOFError, OSError) as error:
        transport.close()
        raise Unreachable(
            f"the program that answers there is not an SSH server ({error}).", where=route.place
        ) from error
    return transport


def _connect(route: Route) -> socket.socket:
    if route.command:
        return open_command(route)
    try:
        return socket.create_connection((route.address, route.port), CONNECT_SECONDS)
    except OSError as error:
        remedy = "Check that it is switched on and that its sshd runs."
        raise Unreachable(f"no answer ({error.strerror or error}).", where=route.place, remedy=remedy) from error


def _fingerprint(key: paramiko.PKey) -> str:
    return "SHA256:" + base64.b64encode(hashlib.sha256(key.asbytes()).digest()).decode().rstrip("=")


def _keys(identity: Path | None, route: Route) -> Sequence[paramiko.PKey]:
    if identity:
        return (load_key(identity),)
    # A key under a passphrase is the agent's to use.
    found: list[paramiko.PKey] = []
    for file in route.identities:
        with suppress(UsageError):
            found.append(load_key(file))
    return (*(_of_the_agent(route) if route.agent else ()), *found)


def _of_the_agent(route: Route) -> Iterator[paramiko.PKey]:
    public = "".join(it.read_text(errors="replace") for it in map(_public_half, route.identities) if it.is_file())
    for key in paramiko.Agent().get_keys():
        if not route.identities_only or key.get_base64() in public:
            yield key


def _public_half(file: Path) -> Path:
    return file.with_name(f"{file.name}.pub")


def load_key(path: Path) -> paramiko.PKey:
    """The private key in the file `path`; raise UsageError when it cannot be read, or is under a passphrase."""
    try:
        return paramiko.PKey.from_path(path)
    except (OSError, ValueError, TypeError, paramiko.SSHException) as error:
        raise UsageError("this private key cannot be read.", where=str(path), remedy="Give it to ssh-agent.") from error
