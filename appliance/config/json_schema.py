"""`territory.yml` as a JSON Schema, by which an editor completes and checks the file while it is written.

It forbids the keys that the loader forbids, and accepts what the loader accepts; only of the many spellings of yes and
no it knows two. References, failure domains and settings that `defaults` may give are beyond it:
`appliance territory check` has the last word.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_type_hints

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue, models_json_schema
from pydantic_core import core_schema

from appliance.config import fields, schema
from appliance.config.fields import NAME_SENTENCE, keywords
from appliance.config.service_schema import RetentionPart, ServicePart
from appliance.territory.model import NAME, Schedule
from appliance.units import format_duration

DIALECT = "https://json-schema.org/draft/2020-12/schema"
PARTS: tuple[type[BaseModel], ...] = (
    schema.Document,
    schema.TerritoryPart,
    schema.DefaultsPart,
    schema.ZonePart,
    schema.LinkPart,
    schema.SitePart,
    schema.NodePart,
    ServicePart,
    RetentionPart,
    schema.PersonPart,
    schema.DutyPart,
    schema.ExternalPart,
    schema.OfflinePart,
    schema.EventPart,
)
"""In the order of their page."""
BY_NAME: Mapping[str, type[BaseModel]] = {
    "zones": schema.ZonePart,
    "links": schema.LinkPart,
    "sites": schema.SitePart,
    "services": ServicePart,
    "people": schema.PersonPart,
    "external": schema.ExternalPart,
    "offline": schema.OfflinePart,
    "events": schema.EventPart,
}
_LINK_NAME = "[a-z0-9-]{1,63}"
_NUMBER = r"\s*[+-]?\.?\d[\d._]*(?:[eE][+-]?\d+)?\s*"


def json_schema() -> dict[str, Any]:
    """The whole schema, as JSON holds it."""
    _, made = models_json_schema([(part, "validation") for part in PARTS], schema_generator=_Generator)
    parts = {part.__name__: made["$defs"][part.__name__] for part in PARTS}
    for part in PARTS:
        _describe(part, parts[part.__name__])
    file = parts.pop(schema.Document.__name__)
    sections = file["properties"]
    sections["territory"] |= _ref(schema.TerritoryPart)
    sections["defaults"] |= _ref(schema.DefaultsPart)
    sections["duty"] |= _ref(schema.DutyPart)
    for name, part in BY_NAME.items():
        sections[name] |= _by_name(part, _LINK_NAME if name == "links" else NAME.pattern)
    nodes = {"type": "array", "items": _ref(schema.NodePart)}
    parts[schema.SitePart.__name__]["properties"]["nodes"] |= nodes
    defaults = parts[schema.DefaultsPart.__name__]["properties"]
    for name, part in (("node", schema.NodePart), ("service", ServicePart)):
        defaults[name] |= {"additionalProperties": False, "properties": _each_setting(part)}
        # Any of them may be among the defaults, but the name of a node, which is its own.
        parts[part.__name__]["required"] = ["name"] if part is schema.NodePart else []
    made = _ordered({**file, "title": "territory.yml"})
    return {"$schema": DIALECT, **made, "$defs": {name: _ordered(parts[name]) for name in sorted(parts)}}


def _describe(part: type[BaseModel], made: dict[str, Any]) -> None:
    made["description"] = " ".join((part.__doc__ or "").split())
    hints = get_type_hints(part, include_extras=True)
    for name, field in part.model_fields.items():
        setting = made["properties"][name]
        setting.pop("default", None)
        if (default := _default(hints[name], field)) is not None:
            setting["default"] = default


def _default(hint: object, field: FieldInfo) -> object:
    """The default of a setting as one would write it; None for a setting that is absent by default."""
    value = None if field.is_required() else field.default
    if isinstance(value, Schedule):
        return value.daily_at
    if isinstance(value, bool):
        return value
    if not value or not isinstance(value, str | int | float):
        return None
    return format_duration(value) if hint == fields.Duration else value


def _ref(part: type[BaseModel]) -> dict[str, str]:
    return {"$ref": f"#/$defs/{part.__name__}"}


def _by_name(part: type[BaseModel], pattern: str) -> dict[str, Any]:
    names = keywords(f"(?:{pattern})", NAME_SENTENCE, "string")
    return {"type": ["object", "null"], "propertyNames": names, "additionalProperties": _ref(part)}


def _each_setting(part: type[BaseModel]) -> dict[str, Any]:
    return {name: {"$ref": f"#/$defs/{part.__name__}/properties/{name}"} for name in part.model_fields}


def _ordered(value: Any, *, of_names: bool = False) -> Any:
    """The same of every version of pydantic: keywords by the alphabet, settings in their order."""
    if isinstance(value, dict):
        items = value.items() if of_names else sorted(value.items())
        return {name: _ordered(it, of_names=name == "properties" and not of_names) for name, it in items}
    return int(value) if isinstance(value, float) and value.is_integer() else value


class _Generator(GenerateJsonSchema):
    """Every value of the file is text to the loader, so a number may stand in quotes and a text may be a number."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def str_schema(self, schema: core_schema.StringSchema) -> JsonSchemaValue:
        return {**super().str_schema(schema), "type": ["string", "number"]}

    def int_schema(self, schema: core_schema.IntSchema) -> JsonSchemaValue:
        return {**super().int_schema(schema), **keywords(_NUMBER, "Write a whole number.", "integer", "string")}

    def float_schema(self, schema: core_schema.FloatSchema) -> JsonSchemaValue:
        return {**super().float_schema(schema), **keywords(_NUMBER, "Write a number.", "number", "string")}

    def bool_schema(self, schema: core_schema.BoolSchema) -> JsonSchemaValue:
        return {"enum": ["yes", "no", True, False]}
