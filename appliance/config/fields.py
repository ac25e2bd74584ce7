"""The kinds of value that `territory.yml` is written in, each refusing with one sentence of its own.

Each also has the keywords of JSON Schema by which an editor checks it; those accept what is accepted here, and more.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
import struct
import zoneinfo
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, GetJsonSchemaHandler, PlainValidator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError

from appliance.config.explain import unknown
from appliance.errors import UsageError
from appliance.territory.duty import WEEK, monday
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
_TIME = r"(?:[01]\d|2[0-3]):[0-5]\d"
NAME_SENTENCE = "Use small letters, digits and hyphens, a letter first, 63 at most."
_SSH_KEY = rf"(?:{'|'.join(_SSH_KEYS).replace('.', r'\.')}) .*"
HOURS_MAX = 168
MINUTES_MIN = 15
# Signed documents hold 63-bit numbers; sums of sizes must stay within.
NUMBER_MAX = 2**56
# In Mbit/s, a thousand times more than any line of a town hall.
RATE_MAX = 1_000_000
# Samba and Windows keep these for themselves, in any case of letters.
_SHARES_KEPT = ("global", "homes", "printers", "print$", "ipc$", "admin$")
_NETWORK_BITS_MIN = 8
_BYTES = "[KMGTkmgt]?(?:[iI]?[bB])?"
GUESS = "~"


@dataclass(frozen=True)
class Declared:
    """A size that somebody declares of their data; `guessed` where it is written with a GUESS before it."""

    bytes: int
    guessed: bool = False


def keywords(pattern: str, sentence: str = "", *kinds: str) -> JsonSchemaValue:
    """The keywords of JSON Schema for values of `kinds` and, as text, of `pattern`; editors show `sentence`."""
    said = {"patternErrorMessage": sentence} if sentence else {}
    return {"type": list(kinds) if kinds[1:] else kinds[0], "pattern": f"^{pattern}$", **said}


@dataclass(frozen=True, eq=False)
class _Keywords:
    """`keywords` in place of those that pydantic derives from the Python type."""

    keywords: Mapping[str, object]

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return dict(self.keywords)  # its own, since pydantic adds what a field says


@dataclass(frozen=True)
class _Known(AfterValidator):
    """A check against a few words, which editors offer."""

    words: tuple[str, ...]

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"type": "string", "enum": list(self.words)}


@dataclass(frozen=True)
class _Matching(AfterValidator):
    """A check against a pattern, which editors know. `sentence` is what they say in its place."""

    pattern: str
    sentence: str = ""
    kinds: tuple[str, ...] = ("string",)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return keywords(f"(?:{self.pattern})", self.sentence, *self.kinds)


@dataclass(frozen=True)
class _Distinct(AfterValidator):
    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {**handler(schema), "uniqueItems": True}


def refuse(sentence: str) -> PydanticCustomError:
    """The error whose text is `sentence`, braces included."""
    return PydanticCustomError("sentence", "{sentence}", {"sentence": sentence})


def one_of(*known: str) -> AfterValidator:
    """A word among `known`."""

    def check(value: str) -> str:
        if value not in known:
            raise refuse(unknown(value, known))
        return value

    return _Known(check, known)


def spelled(known: tuple[str, ...]) -> str:
    """The words of `one_of` for a page: `hot`, `sealed`."""
    return ", ".join(f"`{word}`" for word in known)


def name_problem(value: str) -> str:
    """Why `value` is not a name; "" when it is. Names stand in paths, user names and commands, hence so few signs."""
    if NAME.fullmatch(value):
        return ""
    return f'"{value}" is not a name; {NAME_SENTENCE[0].lower()}{NAME_SENTENCE[1:]}'


def _name(value: str) -> str:
    if problem := name_problem(value):
        raise refuse(problem)
    return value


def _matching(pattern: str, sentence: str, *more_kinds: str) -> AfterValidator:
    def check(value: str) -> str:
        if not re.fullmatch(pattern, value):
            raise refuse(f'"{value}" {sentence}')
        return value

    return _Matching(check, pattern, f"This {sentence}", ("string", *more_kinds))


def _from_units(parse: Callable[[str], float], *, least: int) -> BeforeValidator:
    return BeforeValidator(lambda value: _in_units(parse, value, least) if isinstance(value, str) else value)


def _in_units(parse: Callable[[str], float], value: str, least: int) -> int:
    """The bounds are part of it, so that a sentence shows what stands in the file."""
    try:
        number = int(parse(value))
    except UsageError as error:
        raise refuse(str(error)) from error
    except OverflowError as error:
        raise refuse(f'"{value}" is larger than any disk or age.') from error
    if number < least:
        raise refuse(f"{value} is too small; the least is {least}.")
    if number > NUMBER_MAX:
        raise refuse(f"{value} is too large; the most is {NUMBER_MAX}.")
    return number


def _declared(value: Any) -> Declared:
    if not isinstance(value, str):
        raise refuse("must be one size, such as 80G, or ~80G for a guess.")
    return Declared(_in_units(parse_bytes, value.removeprefix(GUESS), least=0), guessed=value.startswith(GUESS))


def _quantity(unit: str, example: str, *, least: int, mark: str = "") -> _Keywords:
    sentence = f"Write a number and a unit, such as {example}."
    pattern = rf"{mark}\s*\d+(?:\.\d+)?\s*{unit}\s*"
    return _Keywords({**keywords(pattern, sentence, "string", "number"), "minimum": least})


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
    if re.fullmatch(_TIME, value):
        return Schedule(daily_at=value)
    every = re.fullmatch(r"every (\d{1,5}) ?(h|min)", value)
    minutes = int(every[1]) * (60 if every[2] == "h" else 1) if every else 0
    if MINUTES_MIN <= minutes <= HOURS_MAX * 60:
        return Schedule.of_minutes(minutes)
    raise refuse(
        f'"{value}" is not a schedule; write a local time such as 21:30, every 4 h ({HOURS_MAX} h at most) '
        f"or every 15 min ({MINUTES_MIN} min at least)."
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
    if value != NEVER and (not re.fullmatch(f"{_TIME}-{_TIME}", value) or value[:5] == value[6:]):
        raise refuse(f'"{value}" is not a time range; write two local times such as {HAND_BACK}, or {NEVER}.')
    return value


def _local_time(value: str) -> str:
    if not re.fullmatch(_TIME, value):
        raise refuse(f'"{value}" is not a local time such as 08:00.')
    return value


def _week(value: str) -> str:
    try:
        if WEEK.fullmatch(value):
            monday(value)
            return value
    except ValueError:
        pass
    raise refuse(f'"{value}" is not an ISO week such as 2026-W49.')


def _without_repeats(values: list[str]) -> list[str]:
    repeated = next((value for index, value in enumerate(values) if value in values[:index]), None)
    if repeated is not None:
        raise refuse(f'names "{repeated}" twice.')
    return values


_STRING = _Keywords({"type": "string"})
Text = Annotated[str, Field(min_length=1, max_length=200)]
Name = Annotated[str, _Matching(_name, NAME.pattern, NAME_SENTENCE)]
Size = Annotated[int, _from_units(parse_bytes, least=0), _quantity(_BYTES, "200M or 1.5G", least=0)]
DeclaredSize = Annotated[
    Declared,
    PlainValidator(_declared),
    _quantity(_BYTES, "200M, or ~200M for a guess", least=0, mark=f"{GUESS}?"),
]
Duration = Annotated[
    int, _from_units(parse_duration, least=1), _quantity("(?:s|m|min|h|d|w)?", "15m, 4h or 30d", least=1)
]
Address = Annotated[str, AfterValidator(_address), _STRING]
MeshAddress = Annotated[str, AfterValidator(_mesh_address), _STRING]
Network = Annotated[str, AfterValidator(_network), _STRING]
ShareName = Annotated[str, AfterValidator(_share)]
GroupName = Annotated[
    str, _matching(GROUP.pattern, "is not a valid group: small letters, digits and hyphens, 24 at most.")
]
Rate = Annotated[float, Field(gt=0, le=RATE_MAX)]
Port = Annotated[int, Field(ge=1, le=65535)]
FolderOrFile = Annotated[str, _matching(r"/(?!.*(^|/)\.\.(/|$))[^\x00-\x1f]*", "is not an absolute path.")]
Database = Annotated[str, _matching(r"[A-Za-z_][A-Za-z0-9_$-]{0,62}", "is not the name of a database.")]
Insee = Annotated[
    str, _matching(r"\d[\dAB]\d{3}", "is not the INSEE code of a commune: five characters such as 60025.", "integer")
]
Country = Annotated[str, _matching(r"[A-Z]{2}", "is not a country code: two capital letters, such as FR.")]
LocalSchedule = Annotated[
    Schedule,
    BeforeValidator(_schedule),
    _Keywords(
        keywords(
            rf"(?:{_TIME}|every \d{{1,5}} ?(?:h|min))",
            "Write a local time such as 21:30, every 4 h or every 15 min.",
            "string",
        )
    ),
]
SshKey = Annotated[str, _Matching(_ssh_key, _SSH_KEY, "Paste the whole line of the .pub file.")]
Timezone = Annotated[str, AfterValidator(_timezone), _STRING]
Hours = Annotated[
    str, _Matching(_hours, f"{_TIME}-{_TIME}|{NEVER}", f"Write two local times such as {HAND_BACK}, or {NEVER}.")
]
LocalTime = Annotated[str, _Matching(_local_time, _TIME, "Write a local time such as 08:00.")]
Week = Annotated[str, _Matching(_week, WEEK.pattern, "Write an ISO week such as 2026-W49.")]
Distinct = _Distinct(_without_repeats)
Names = Annotated[list[str], Distinct]
