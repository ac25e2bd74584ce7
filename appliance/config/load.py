"""`territory.yml` to a `Territory`, or every mistake in it at once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from appliance.config.build import build
from appliance.config.domains import check_domains
from appliance.config.explain import Problems
from appliance.config.parts import read_parts, with_defaults
from appliance.config.references import Finding, check_references
from appliance.config.tree import Mapping, Place, Tree, place_of, read_tree
from appliance.errors import Forbidden, NotFound, UsageError
from appliance.host.files import read_named
from appliance.territory.implicit import with_implicit
from appliance.territory.model import Territory
from appliance.territory.renaming import with_first_names
from appliance.units import MIB, format_bytes

FILE_NAME = "territory.yml"
BYTES_MAX = MIB
NAMED_MAX = 3


def load(place: Path) -> Territory:
    """The territory in the file `place`, or in `territory.yml` of the folder `place`.

    Raise InvalidFile with all mistakes, one a line; NotFound or Forbidden when the file cannot be read.
    """
    file = territory_file(place)
    return parse(read_raw(file), name=str(file))


def read_raw(file: Path) -> bytes:
    """The content of `file`, at most one byte more than a territory may have; raise NotFound or Forbidden."""
    try:
        return read_named(file, BYTES_MAX)
    except (NotFound, UsageError) as error:
        raise NotFound(error.what, where=error.where, remedy=f"Name a folder with a {FILE_NAME}.") from error
    except PermissionError as error:
        raise Forbidden("this account cannot read it.", where=str(file)) from error


def territory_file(place: Path) -> Path:
    """The file that `load` reads for `place`."""
    return place / FILE_NAME if place.is_dir() else place


def parse(raw: bytes, *, name: str) -> Territory:
    """The territory in `raw`, called `name` in messages, each node's own service included.

    Raise InvalidFile with all mistakes. Failure domains are only checked in a file that has no other mistake: that
    needs the whole territory.
    """
    problems = Problems(name)
    root = read_root(raw, problems)
    parts = read_parts(root, problems)
    _note(check_references(parts), root, problems)
    if problems.any_found or parts.territory is None:
        raise problems.failure()
    territory = build(parts, parts.territory)
    _note(check_domains(parts, territory), root, problems)
    if problems.any_found:
        raise problems.failure()
    return with_implicit(with_first_names(territory, {it.name: it.part.was for it in parts.services if it.part.was}))


def read_root(raw: bytes, problems: Problems) -> Mapping:
    """The file as a tree with its defaults filled in; raise InvalidFile when it is none."""
    root = read_tree(_text(raw, problems), problems)
    if isinstance(root, Mapping):
        return with_defaults(root)
    if not problems.any_found:
        problems.add_line(1, (), "is empty." if root is None else "must be a mapping that starts with territory:")
    raise problems.failure()


def _text(raw: bytes, problems: Problems) -> str:
    if len(raw) > BYTES_MAX:
        problems.add_line(1, (), f"is larger than {format_bytes(BYTES_MAX)}; this is not a territory.")
        raise problems.failure()
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        problems.add_line(line, (), f"is not UTF-8 (byte {error.object[error.start]:#04x}); save the file as UTF-8.")
        raise problems.failure() from error


def _note(findings: Iterable[Finding], root: Tree, problems: Problems) -> None:
    """Note what was found where it was written: a line of `defaults` is one mistake, however many it reaches."""
    found: dict[Place, list[Finding]] = {}
    for path, sentence in findings:
        found.setdefault(place_of(root, path), []).append((path, sentence))
    for place, here in found.items():
        sentences = [_of_many(here)] if place.path[:1] == ("defaults",) else [sentence for _, sentence in here]
        for sentence in sentences:
            problems.add_line(place.line, place.path, sentence)


def _of_many(found: Sequence[Finding]) -> str:
    """The first sentence, and the services or sites for which there are others of its kind."""
    sentence = found[0][1]
    if all(other == sentence for _, other in found):
        return sentence
    names = tuple(dict.fromkeys(str(path[1]) for path, _ in found))
    more = f" and {len(names) - NAMED_MAX} more" if names[NAMED_MAX:] else ""
    return f"{sentence} Affected: {', '.join(names[:NAMED_MAX])}{more}."
