"""Records: a frozen dataclass kept as JSON in a file of its own, which is replaced as a whole.

A file that is not exactly what its dataclass says (a field too many or missing, a value of another type, another format
number) is not read at all: `{}` would be taken for the defaults.
"""

from __future__ import annotations

import enum
import json
import types
from collections.abc import Mapping, Set
from dataclasses import Field, dataclass, fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeAliasType, Union, cast, get_args, get_origin, get_type_hints

from appliance.errors import IntegrityError
from appliance.host.files import write_atomic

KEPT_AS = "kept-as"
"""In the metadata of a field, its name in the file where that is another one."""


@dataclass(frozen=True)
class Record[T]:
    """How a `kind` is kept. `format` is the number that the file begins with; 0 where it has none.

    `unreadable` and `remedy` are the sentences about a file that cannot be read.
    """

    kind: type[T]
    format: int = 0
    unreadable: str = "this file cannot be read"
    remedy: str = ""
    mode: int = 0o600
    defaults: bool = False
    """Whether the file may lack fields that have a default, but for `required`."""
    required: frozenset[str] = frozenset()

    def save(self, path: Path, value: T) -> None:
        """Keep `value` durably in `path`; the folder exists."""
        write_atomic(path, self.to_bytes(value), mode=self.mode)

    def read(self, path: Path) -> T:
        """Return the record. Raise FileNotFoundError for no file, IntegrityError for one that cannot be read."""
        try:
            return self.from_bytes(path.read_bytes())
        except ValueError as error:
            raise IntegrityError(f"{self.unreadable}: {error}.", where=str(path), remedy=self.remedy) from error

    def load(self, path: Path) -> T | None:
        """As `read`; None where there is no file."""
        try:
            return self.read(path)
        except FileNotFoundError:
            return None

    def load_or[D](self, path: Path, default: D) -> T | D:
        """Return the record; `default` where there is no file, and for one that cannot be read."""
        try:
            return self.from_bytes(path.read_bytes())
        except (OSError, ValueError):
            return default

    def to_bytes(self, value: T) -> bytes:
        plain = to_plain(value)
        return json.dumps({"format": self.format, **plain} if self.format else plain).encode()

    def from_bytes(self, raw: bytes) -> T:
        """Raise ValueError for what is not a `kind` of this format."""
        try:
            plain = json.loads(raw)
        except RecursionError as error:
            raise ValueError("it is nested too deep") from error
        if self.format and _checked(dict, plain).pop("format", None) != self.format:
            raise ValueError("its format is not known")
        value = from_plain(self.kind, plain)
        if is_dataclass(self.kind):
            wanted = self.required if self.defaults else _fields(self.kind).keys()
            if lacking := wanted - plain.keys():
                raise ValueError(f"{min(lacking)} is missing")
        return value


def to_plain(value: Any) -> Any:
    """`value` as JSON can say it."""
    if is_dataclass(value):
        return {_name_of(it): to_plain(getattr(value, it.name)) for it in fields(value)}
    if isinstance(value, Mapping):
        return {key: to_plain(it) for key, it in value.items()}
    if isinstance(value, list | tuple):
        return [to_plain(it) for it in value]
    if isinstance(value, Set):
        return sorted(map(to_plain, value))
    if isinstance(value, enum.Enum):
        return value.value
    return str(value) if isinstance(value, Path) else value


def from_plain[T](kind: type[T], plain: object) -> T:
    """The inverse of `to_plain`; raise ValueError for what is not exactly a `kind`."""
    try:
        return cast("T", _read(kind, plain))
    except (RecursionError, OverflowError) as error:
        raise ValueError("it is nested too deep, or a number is too large") from error


def _read(kind: Any, plain: Any) -> Any:
    if isinstance(kind, TypeAliasType):
        return _read(kind.__value__, plain)
    if is_dataclass(kind):
        return _read_fields(kind, plain)
    origin, of = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return None if plain is None else _read(next(it for it in of if it is not types.NoneType), plain)
    if origin is Literal:
        if plain not in of:
            raise ValueError(f"{of[0]} or another such word belongs there")
        return plain
    if origin is tuple:
        values = _checked(list, plain)
        kinds = of[:1] * len(values) if of[-1] is Ellipsis else of
        return tuple(_read(it, value) for it, value in zip(kinds, values, strict=True))
    if origin in (frozenset, list):
        return origin(_read(of[0], it) for it in _checked(list, plain))
    if origin in (dict, Mapping):
        return {of[0](name): _read(of[1], it) for name, it in _checked(dict, plain).items()}
    if isinstance(kind, type) and issubclass(kind, enum.Enum | Path):
        return kind(_checked(str, plain))
    return float(_checked(int, plain)) if kind is float and not isinstance(plain, float) else _checked(kind, plain)


def _read_fields(kind: Any, plain: Any) -> Any:
    known, values = _fields(kind), _checked(dict, plain)
    if unknown := values.keys() - known.keys():
        raise ValueError(f"there is no {min(unknown)}")
    try:
        return kind(**{known[name][0]: _read(known[name][1], it) for name, it in values.items()})
    except TypeError as error:
        raise ValueError("a field is missing") from error


def _checked(kind: type, plain: Any) -> Any:
    if not isinstance(plain, kind) or (kind is int and isinstance(plain, bool)):
        # Without the value: it may be a secret.
        raise ValueError(f"a {type(plain).__name__} is in place of a {kind.__name__}")
    return plain


@cache
def _fields(kind: type) -> dict[str, tuple[str, Any]]:
    """By its name in the file, the name and the type of each field."""
    hints = get_type_hints(kind)
    return {_name_of(it): (it.name, hints[it.name]) for it in fields(kind)}


def _name_of(it: Field[Any]) -> str:
    return str(it.metadata.get(KEPT_AS, it.name))
