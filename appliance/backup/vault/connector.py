"""The forced command of a real host: hand this conversation to the vault, and end as it ends.

sshd starts it once for each caller, so it imports next to nothing and takes a few milliseconds:
`python3 -I -S connector.py`. It gives its standard input and output to the session that systemd starts behind SOCKET,
which runs under another account and asks the kernel who called. This account may write nowhere and opens nothing else.
"""

import _socket  # `socket` itself would take as long as all the rest
import os
import sys

SOCKET = "/run/appliance/vault.sock"
COMMAND = "appliance-vault"
FORBIDDEN, FAILED = 6, 4


def main(path: str = SOCKET) -> int:
    """The session's exit code; FAILED when there is no vault, or it went without an answer."""
    if os.environ.get("SSH_ORIGINAL_COMMAND") != COMMAND:
        sys.stderr.write("This key gives access only to the vault of this node: no shell, no files.\n")
        return FORBIDDEN
    try:
        vault = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
        vault.connect(path)
        descriptors = b"".join(number.to_bytes(4, sys.byteorder) for number in (0, 1))
        vault.sendmsg([b"\0"], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, descriptors)])
        _let_go()
        code = vault.recv(1)
    except OSError as error:
        sys.stderr.write(f"The vault of this node does not answer: {error.strerror}.\n")
        return FAILED
    return code[0] if code else FAILED


def _let_go() -> None:
    """The conversation is the session's alone: when it closes, its other end must see that, not our copy."""
    nowhere = os.open("/dev/null", os.O_RDWR)
    for number in (0, 1):
        os.dup2(nowhere, number)


if __name__ == "__main__":
    sys.exit(main())
