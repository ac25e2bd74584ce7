"""A part of the file against its schema; pydantic's findings become sentences with the line they are about."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from appliance.config.explain import Path, Problems, unknown
from appliance.config.tree import Tree, place_of, plain

MAPPING_EXPECTED = "must be a mapping of names to values."
# Anything that is not here has a sentence of our own already, or keeps pydantic's.
_SENTENCES: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "int_parsing": lambda error: f'"{error["input"]}" is not a whole number.',
    "int_from_float": lambda error: f'"{error["input"]}" is not a whole number.',
    "float_parsing": lambda error: f'"{error["input"]}" is not a number.',
    "bool_parsing": lambda error: f'"{error["input"]}" is neither yes nor no.',
    "greater_than": lambda error: f"{error['input']} is too small; it must be above {error['ctx']['gt']:.0f}.",
    "greater_than_equal": lambda error: f"{error['input']} is too small; the least is {error['ctx']['ge']:.0f}.",
    "less_than_equal": lambda error: f"{error['input']} is too large; the most is {error['ctx']['le']:.0f}.",
    "string_too_long": lambda error: f"is longer than {error['ctx']['max_length']} characters.",
    "string_too_short": lambda _error: "is empty.",
    "list_type": lambda error: f"must be a list, such as [{_shown(error['input'])}].",
    "string_type": lambda _error: "must be one value, not a list or a mapping.",
    "model_type": lambda _error: MAPPING_EXPECTED,
    "dict_type": lambda _error: MAPPING_EXPECTED,
}


def check_part[Part: BaseModel](schema: type[Part], tree: Tree, problems: Problems) -> Part | None:
    """`tree` as a `schema`; None with the reasons in `problems`."""
    try:
        return schema.model_validate(plain(tree))
    except ValidationError as error:
        for finding in error.errors():
            _explain(schema, dict(finding), tree, problems)
        return None


def _explain(schema: type[BaseModel], finding: Mapping[str, Any], tree: Tree, problems: Problems) -> None:
    # Of a key that is wrong, pydantic says that it is one, after the key itself.
    place = place_of(tree, tuple(step for step in finding["loc"] if step != "[key]"))
    if finding["type"] == "extra_forbidden":
        sentence = unknown(str(finding["loc"][-1]), _known_fields(schema, finding["loc"][:-1]))
        problems.add_line(place.line, place.path[:-1], sentence)
    elif finding["type"] == "missing":
        problems.add_line(place.line, place.path[:-1], f'lacks "{finding["loc"][-1]}".')
    elif finding["input"] is None:
        problems.add_line(place.line, place.path, "has no value; give one or remove the line.")
    else:
        say = _SENTENCES.get(finding["type"], lambda error: str(error["msg"]))
        problems.add_line(place.line, place.path, say(finding))


def _known_fields(schema: type[BaseModel], steps: Path) -> list[str]:
    """The fields that may stand where `steps` lead, following nested schemas only as deep as ours go."""
    for step in steps:
        annotation = schema.model_fields[str(step)].annotation
        inner = annotation if isinstance(annotation, type) else get_args(annotation)[0]
        schema = inner if isinstance(inner, type) and issubclass(inner, BaseModel) else schema
    return list(schema.model_fields)


def _shown(value: object) -> str:
    return value if isinstance(value, str) else "..."
