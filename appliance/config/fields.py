"""The kinds of value that `territory.yml` is written in, each refusing with one sentence of its own."""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
import struct
import zoneinfo
from collections.abc import Callable
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_core import PydanticCustomError

from appliance.config.explain import unknown
from appliance.errors import UsageError
from appliance.territory.model import GROUP, HAND_BACK, NAME, NEVER, Schedule
from appliance.units import parse_bytes, parse_duration

_HOST = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*", re.IGNORECASE)
_SSH_KEYS = (
    "ssh-ed25519",
    "sk-ssh-ed25519@openssh.com",
    "ecdsa-sha2-nistp256",
    "sk-ecdsa-sha2-nistp256@openssh.com",
    "ssh-rsa",
)
HOURS_MAX = 168
# Signed documents hold 63-bit numbers; sums of sizes must stay within.
NUMBER_MAX = 2**56
# Samba and Windows keep these for themselves, in any case of letters.
_SHARES_KEPT = ("global", "homes", "printers", "print$", "ipc$", "admin$")
_NETWORK_BITS_MIN = 8


def refuse(sentence: str) -> PydanticCustomError:
    """The error whose text is `sentence`, braces included."""
    return PydanticCustomError("sentence", "{sentence}", {"sentence": sentence})


def one_of(*known: str) -> AfterValidator:
    """A word among `known`."""

    def check(value: str) -> str:
        if value not in known:
            raise refuse(unknown(value, known))
        return value

    return AfterValidator(check)


def name_problem(value: str) -> str:
    """Why `value` is not a name; "" when it is. Names stand in paths, user names and commands, hence so few signs."""
    if NAME.fullmatch(value):
        return ""
    return f'"{value}" is not a name; use small letters, digits and hyphens, a letter first, 63 at most.'


def _name(value: str) -> str:
    if problem := name_problem(value):
        raise refuse(problem)
    return value


def _matching(pattern: str, sentence: str) -> AfterValidator:
    def check(value: str) -> str:
        if not re.fullmatch(pattern, value):
            raise refuse(f'"{value}" {sentence}')
        return value

    return AfterValidator(check)


def _from_units(parse: Callable[[str], float]) -> BeforeValidator:
    def read(value: Any) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return int(parse(value))
        except UsageError as error:
            raise refuse(str(error)) from error
        except OverflowError as error:
            raise refuse(f'"{value}" is larger than any disk or age.') from error

    return BeforeValidator(read)


def _address(value: str) -> str:
    try:
        return str(ipaddress.ip_address(value))
    except ValueError:
        # Digits and dots alone are a mistyped address, never a host name.
        if not _HOST.fullmatch(value) or re.fullmatch(r"[\d.]+", value):
            raise refuse(f'"{value}" is neither an IP address nor a host name.') from None
        return value


def _mesh_address(value: str) -> str:
    try:
        return str(ipaddress.IPv4Address(value))
    except ValueError:
        raise refuse(f'"{value}" is not an IPv4 address such as 10.64.0.1.') from None


def _network(value: str) -> str:
    try:
        network = ipaddress.ip_network(value)
    except ValueError:
        raise refuse(f'"{value}" is not a network such as 192.168.1.0/24.') from None
    if network.prefixlen < _NETWORK_BITS_MIN:
        raise refuse(f'"{value}" is too large to be the network of a building.')
    return str(network)


def _share(value: str) -> str:
    if not re.fullmatch(r"\w([\w .'’-]{0,58}[\w'’-])?", value):
        raise refuse(f'"{value}" cannot be the name of a share; use letters, digits, spaces, . \' and -, 60 at most.')
    if value.casefold() in _SHARES_KEPT:
        raise refuse(f'"{value}" is a name that Samba reserves; choose another.')
    return value


def _schedule(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    if re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", value):
        return Schedule(daily_at=value)
    every = re.fullmatch(r"every (\d{1,3}) ?h", value)
    if every and 1 <= int(every[1]) <= HOURS_MAX:
        return Schedule(every_hours=int(every[1]))
    raise refuse(
        f'"{value}" is not a schedule; write a local time such as 21:30, or every 4 h ({HOURS_MAX} h at most).'
    )


def _ssh_key(value: str) -> str:
    """`value` without its comment. One that ssh-keygen cannot read would silently void every act of this person."""
    words = value.split()
    if words[:1] and words[0] not in _SSH_KEYS:
        raise refuse(f"this is not an SSH public key of a known type ({', '.join(_SSH_KEYS)}).")
    try:
        blob = base64.b64decode(words[1], validate=True)
        (length,) = struct.unpack(">I", blob[:4])
    except (IndexError, binascii.Error, struct.error):
        raise refuse("this SSH public key is cut short or garbled; paste the whole line of the .pub file.") from None
    if blob[4 : 4 + length].decode(errors="replace") != words[0] or len(blob) <= 4 + length:
        raise refuse(f"this SSH public key does not contain the {words[0]} that it announces.")
    return " ".join(words[:2])


def _timezone(value: str) -> str:
    if value not in zoneinfo.available_timezones():
        raise refuse(f'"{value}" is not a time zone, such as Europe/Paris.')
    return value


def _hours(value: str) -> str:
    one = r"([01]\d|2[0-3]):[0-5]\d"
    if value != NEVER and (not re.fullmatch(f"{one}-{one}", value) or value[:5] == value[6:]):
        raise refuse(f'"{value}" is not a time range; write two local times such as {HAND_BACK}, or {NEVER}.')
    return value


def _without_repeats(values: list[str]) -> list[str]:
    repeated = next((value for index, value in enumerate(values) if value in values[:index]), None)
    if repeated is not None:
        raise refuse(f'names "{repeated}" twice.')
    return values


Text = Annotated[str, Field(min_length=1, max_length=200)]
Name = Annotated[str, AfterValidator(_name)]
Size = Annotated[int, _from_units(parse_bytes), Field(ge=0, le=NUMBER_MAX)]
Duration = Annotated[int, _from_units(parse_duration), Field(ge=1, le=NUMBER_MAX)]
Address = Annotated[str, AfterValidator(_address)]
MeshAddress = Annotated[str, AfterValidator(_mesh_address)]
Network = Annotated[str, AfterValidator(_network)]
ShareName = Annotated[str, AfterValidator(_share)]
GroupName = Annotated[
    str, _matching(GROUP.pattern, "is not a valid group: small letters, digits and hyphens, 24 at most.")
]
Port = Annotated[int, Field(ge=1, le=65535)]
FolderOrFile = Annotated[str, _matching(r"/(?!.*(^|/)\.\.(/|$))[^\x00-\x1f]*", "is not an absolute path.")]
Database = Annotated[str, _matching(r"[A-Za-z_][A-Za-z0-9_$-]{0,62}", "is not the name of a database.")]
Insee = Annotated[
    str, _matching(r"\d[\dAB]\d{3}", "is not the INSEE code of a commune: five characters such as 60025.")
]
Country = Annotated[str, _matching(r"[A-Z]{2}", "is not a country code: two capital letters, such as FR.")]
LocalSchedule = Annotated[Schedule, BeforeValidator(_schedule)]
SshKey = Annotated[str, AfterValidator(_ssh_key)]
Timezone = Annotated[str, AfterValidator(_timezone)]
Hours = Annotated[str, AfterValidator(_hours)]
Distinct = AfterValidator(_without_repeats)
Names = Annotated[list[str], Distinct]
