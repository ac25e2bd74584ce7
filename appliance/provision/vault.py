"""The access to a node's vault, from the bundle alone: one account for each other node, and what its key gets. Pure.

An account of this kind owns nothing and may write nowhere. sshd gives it no shell, whatever it asks for, but the
connector (`backup/vault/connector.py`), which hands the conversation to a session under an account of its own. The name
of the account is the caller's name: nothing that a caller says can change it. The keys belong to root.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from appliance.errors import UsageError
from appliance.host.layout import AGENT, HELPERS
from appliance.host.network.ssh import authorized_keys_line
from appliance.provision.files import HEADING, Account, OwnedFolder, Part, WantedFile
from appliance.trust.bundle import Bundle, Member

PREFIX = "vault-"
CALLERS = "appliance-callers"
KEYS = "/etc/appliance/vault_keys"
DROP_IN = "/etc/ssh/sshd_config.d/50-appliance-vault.conf"
CONNECTOR = "/usr/lib/python3/dist-packages/appliance/backup/vault/connector.py"
COMMAND = ("/usr/bin/python3", "-I", "-S", CONNECTOR)
STATE = "/srv/appliance/node"
VAULT = "/srv/appliance/vault"
HELPERS_FILE = f"{VAULT}/{HELPERS}"
RECEIVER, SEALER = "appliance-vault", "appliance-sealed"
SOCKETS = {"sealer": "/run/appliance/seal.sock", "checker": "/run/appliance/check.sock"}
NAME_LENGTH_MAX = 32  # useradd takes no longer names


# The vault lies beside the agent's folder and under root's, who alone can rename either. Through the agent's those pass
# who serve the vault: to the bundle; acts and what was seen are the agent's to write and theirs to read.
FOLDERS = (
    OwnedFolder("/srv/appliance", "", 0o711, "root", "root"),
    OwnedFolder(STATE, "", 0o710, AGENT, RECEIVER),
    *(OwnedFolder(f"{STATE}/{name}", "", 0o750, AGENT, RECEIVER) for name in ("acts", "sight")),
    OwnedFolder(VAULT, "", 0o750, SEALER, RECEIVER),
)

UNITS = ("appliance-seal.socket", "appliance-seal.timer", "appliance-vault.socket", "appliance-check.socket")
"""A connection starts each helper, and a timer the one that keeps the ageing clock."""


def part(bundle: Bundle, name: str) -> Part:
    """The accounts, keys and sshd settings by which the other nodes enter the node `name`; raise UsageError for a
    caller whose account's name would be too long."""
    callers = sorted((it for it in bundle.members.values() if it.name != name), key=lambda it: it.name)
    keys = tuple(WantedFile(f"{KEYS}/{account_of(it)}", authorized_keys(it)) for it in callers)
    door = WantedFile(
        DROP_IN, _DROP_IN, check=("/usr/sbin/sshd", "-t"), reload=("systemctl", "try-reload-or-restart", "ssh")
    )
    helpers = WantedFile(HELPERS_FILE, json.dumps({"format": 1, **SOCKETS}) + "\n")
    return Part(
        "vault",
        files=(*keys, helpers, door),
        folders=(OwnedFolder(KEYS), *FOLDERS),
        accounts=tuple(Account(account_of(it), home="/", shell="/bin/sh", groups=(CALLERS,)) for it in callers),
        units=UNITS,
        warnings=tuple(_unknown_callers(bundle, name)),
    )


def account_of(caller: Member) -> str:
    """The account by which `caller` enters any node; raise UsageError when no system would take its name."""
    account = PREFIX + caller.name
    if len(account) > NAME_LENGTH_MAX:
        raise UsageError(
            f'the name "{caller.name}" is too long for an account {account}: {NAME_LENGTH_MAX} letters at most.',
            remedy=f"Give the node a name of at most {NAME_LENGTH_MAX - len(PREFIX)} letters in territory.yml.",
        )
    return account


def authorized_keys(caller: Member) -> str:
    """Its key, which gets the connector here too, should the settings of sshd ever be lost."""
    return authorized_keys_line(caller.keys.ssh, COMMAND, caller.name)


def _unknown_callers(bundle: Bundle, name: str) -> Iterator[str]:
    own = bundle.members.get(name)
    if own is not None and own.user != PREFIX:
        yield f'Other nodes look for the account "{own.user}" here: collect keys with `--user {PREFIX}`, sign again.'


# "Match all" ends the block: what other files set after it is for everybody again.
_DROP_IN = """\
{heading}
# Other nodes enter as vault-NAME and get nothing but the vault.

# A whole territory may begin its hourly backups in the same second; one caller that holds many doors open shuts none.
MaxStartups 40:30:100
PerSourceMaxStartups 12

Match User {prefix}*
    AuthorizedKeysFile {keys}/%u
    AuthenticationMethods publickey
    ForceCommand {command}
    DisableForwarding yes
    PermitTTY no
    PermitUserRC no
    ClientAliveInterval 30
    ClientAliveCountMax 4
Match all
""".format(heading=HEADING, prefix=PREFIX, keys=KEYS, command=" ".join(COMMAND))
