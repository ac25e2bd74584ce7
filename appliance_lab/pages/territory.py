"""docs/reference/territory.md, written from the schema: run this module, its output is the page.

Types, defaults and sentences are the schema's own; a test misses a setting without a sentence.
"""

from __future__ import annotations

from typing import Annotated, Any, get_args, get_origin, get_type_hints

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from appliance.config import fields
from appliance.config.json_schema import PARTS
from appliance.territory.model import Schedule
from appliance.units import format_bytes, format_duration

HEAD = """# Settings of territory.yml

Written from the schema by `make docs`; `appliance territory check` says what is wrong in a file, each mistake with its
line. Two whole files: `inventory/demo/territory.yml`, `inventory/example/territory.yml`.

An editor with a language server for YAML completes and checks the file and shows these meanings, if it names the schema
in its first line. `inventory/territory.schema.json` is the one of this checkout; for a folder elsewhere, type
`appliance territory schema >territory.schema.json` and write

    # yaml-language-server: $schema=territory.schema.json

An editor knows what a setting may be. `appliance territory check` also knows what belongs together, and says when the
schema that a file names is of another version.

- Names are small letters, digits and hyphens, a letter first, 63 characters at most.
- Sizes are written `500G` or `1.5T`, in powers of 1024; durations `90s`, `15m`, `4h`, `30d`, `2w`.
- `size` and `change_per_day` of a service may have a `~` before them, such as `~80G`: the figure is a guess. Nothing
  else differs; `territory check` lists the guesses, and [`appliance survey`](../how-to/survey.md) measures them.
- What is not known is refused, and so are aliases (`*x`) and tags (`!x`). Text stays text: `21:30` is a time.
- No text holds a line break, another control character, or a sign that turns the direction of writing; nodes refuse
  such a bundle, too.
- A setting marked *later* is checked, signed and shown; nothing obeys it yet.
"""

# In the order in which they are looked for: what an alias of `fields` is called for a person.
KINDS = (
    (fields.Size, "size"),
    (fields.DeclaredSize, "size"),
    (fields.Duration, "duration"),
    (fields.LocalSchedule, "schedule"),
    (fields.Names, "list of names"),
    (fields.Name, "name"),
    (fields.Address, "address"),
    (fields.Port, "port"),
    (fields.Insee, "INSEE code"),
    (fields.Country, "country"),
    (fields.Database, "name of a database"),
    (fields.Timezone, "time zone"),
    (fields.Text, "text"),
    (bool, "yes or no"),
    (int, "number"),
    (float, "number"),
    (str, "text"),
)


def page() -> str:
    """The whole page, in Markdown."""
    return HEAD + "".join(map(_section, PARTS))


def _section(part: type[BaseModel]) -> str:
    title, words = part.model_config["title"], " ".join((part.__doc__ or "").split())
    hints = get_type_hints(part, include_extras=True)
    rows = "".join(
        f"| `{name}` | {_kind(hints[name])} | {_default(hints[name], field)} | {field.description} |\n"
        for name, field in part.model_fields.items()
    )
    return f"\n## {title}\n\n{words}\n\n| setting | is a | without it | meaning |\n| --- | --- | --- | --- |\n{rows}"


def _kind(hint: Any) -> str:
    for alias, word in KINDS:
        if hint == alias:
            return word
    origin = get_origin(hint)
    if origin is Annotated:
        return _kind(get_args(hint)[0])
    if origin is list:
        return "list"
    return "mapping" if hint is not Any else "section"


def _default(hint: Any, field: FieldInfo) -> str:
    if field.is_required():
        return "*required*"
    value = field.default
    if not value and not isinstance(value, bool):
        return "none"
    if isinstance(value, BaseModel):
        return "see there"
    if isinstance(value, Schedule):
        return f'`"{value.daily_at}"`'
    if isinstance(value, bool):
        return "`yes`" if value else "`no`"
    if hint == fields.Size:
        return format_bytes(value)
    return format_duration(value) if hint == fields.Duration else f"`{value}`"


if __name__ == "__main__":
    print(page(), end="")
