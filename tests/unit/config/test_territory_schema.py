"""The JSON Schema for editors: it takes what the loader takes, and knows the keys that the loader knows."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, get_args, get_origin, get_type_hints

import pytest
import yaml
from jsonschema import Draft202012Validator
from pydantic import BaseModel, TypeAdapter, ValidationError

from appliance.cli import main
from appliance.config.editing import schema_text
from appliance.config.explain import InvalidFile
from appliance.config.json_schema import PARTS, json_schema
from appliance.config.load import parse
from appliance.config.schema import DefaultsPart, Document

ROOT = Path(__file__).parents[3]
FILE = ROOT / "inventory/territory.schema.json"
DEMO = ROOT / "inventory/demo/territory.yml"
GOOD = ROOT / "tests/cases/territory/good.yml"
FILES = [*sorted(ROOT.glob("inventory/*/territory.yml")), GOOD, ROOT / "tests/cases/hosts/territory.yml"]
SCHEMA = json_schema()
VALIDATOR = Draft202012Validator(SCHEMA)
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIE1hZGV1cGtleW1hZGV1cGtleW1hZGV1cGtleW1hZGU="
# Texts that some setting takes; all are tried at each.
TEXTS = (
    "0",
    "1",
    "22",
    " 22 ",
    "1_000",
    "1.5",
    "-1.5",
    "1e3",
    "yes",
    "no",
    "500G",
    "1.5 GiB",
    "~ 1.5 GiB",
    "4096",
    "15m",
    "30 d",
    "21:30",
    "every 4 h",
    "every 15 min",
    "22:00-05:00",
    "never",
    "name-1",
    "l'Hermitage",
    "Délibérations 2026",
    "10.64.0.1",
    "2001:db8::1",
    "a.example.fr",
    "192.168.1.0/24",
    "/srv/états civils",
    "état_civil",
    "base_1",
    "2A004",
    "FR",
    "Europe/Paris",
    f"{KEY} somebody@somewhere",
    "flood",
    "postgresql",
    "sealed",
    "mirror",
    "voter",
    "promote",
)


class Yaml12(yaml.SafeLoader):
    """Scalars as an editor reads them, by the core schema of YAML 1.2: 21:30 and `no` are texts."""

    yaml_implicit_resolvers: ClassVar[dict[str, list[Any]]] = {}


for tag, pattern in {
    "null": r"~|null|",
    "bool": r"true|false",
    "int": r"[-+]?\d+",
    "float": r"[-+]?(?:\.\d+|\d+\.\d*)(?:[eE][-+]?\d+)?",
}.items():
    Yaml12.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(rf"^(?:{pattern})$"), None)


def test_the_file_is_what_the_code_makes() -> None:
    assert FILE.read_text() == schema_text(), "write it again: make docs"
    Draft202012Validator.check_schema(json.loads(FILE.read_text()))


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_an_editor_marks_nothing_in_a_file_without_mistakes(file: Path) -> None:
    assert mistakes(file.read_text()) == []
    as_text = yaml.load(re.sub(r": (?:true|false)\b", ": yes", file.read_text()), Loader=yaml.BaseLoader)
    assert [it.message for it in VALIDATOR.iter_errors(as_text)] == [], "as the loader reads it"


@pytest.mark.parametrize("file", FILES[:-2], ids=lambda file: file.parent.name)
def test_each_inventory_names_the_schema(file: Path) -> None:
    (line,) = [it for it in file.read_text().splitlines() if it.startswith("# yaml-language-server: $schema=")]
    assert (file.parent / line.split("=")[1]).resolve() == FILE


def test_each_part_and_each_setting_has_its_meaning() -> None:
    parts = [(SCHEMA, Document), *((SCHEMA["$defs"][part.__name__], part) for part in PARTS[1:])]
    for found, part in parts:
        assert found["title"], part
        assert found["description"], part
        assert list(found["properties"]) == list(part.model_fields)
        assert [name for name, it in found["properties"].items() if not it.get("description")] == []


def test_a_default_is_a_value_that_the_setting_takes() -> None:
    defaults = [it for it in within(SCHEMA) if "default" in it]
    assert len(defaults) > 20
    assert [it for it in defaults if not Draft202012Validator(it).is_valid(it["default"])] == []


def test_a_key_that_the_loader_does_not_know_is_marked_wherever_it_stands() -> None:
    closed = [it for it in within(SCHEMA) if "properties" in it]
    assert len(closed) == len(PARTS) + len(DefaultsPart.model_fields)
    assert [it for it in closed if it.get("additionalProperties") is not False] == []


@pytest.mark.parametrize("part", sorted({*PARTS} - {Document, DefaultsPart}, key=str), ids=lambda part: part.__name__)
def test_a_text_that_the_loader_takes_is_one_that_an_editor_takes(part: type[BaseModel]) -> None:
    properties = SCHEMA["$defs"][part.__name__]["properties"]
    tried = [
        (name, value)
        for name, hint in get_type_hints(part, include_extras=True).items()
        if name in properties and hint not in (Any, bool)  # of yes and no, an editor knows two spellings of many
        for text in TEXTS
        if takes(hint, value := [text] if is_list(hint) else text)
    ]
    assert tried
    assert [(name, value) for name, value in tried if not is_valid(properties[name], value)] == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("title: Attichy", "title: 2026"),
        ("insee: 60025", "insee: '60025'"),
        ("copies: 2", "copies: '2'"),
        ("metered: yes", "metered: no"),
        ("metered: yes", "metered: true"),
        ("size: 80G", "size: 85899345920"),
        ("size: 80G", "size: ~80G"),
        ("change_per_day: 1G", "change_per_day: '~ 1 GiB'"),
    ],
)
def test_another_way_to_write_a_value_is_none_to_mark(old: str, new: str) -> None:
    text = GOOD.read_text()
    assert old in text
    parse(text.replace(old, new, 1).encode(), name="territory.yml")
    assert mistakes(text.replace(old, new, 1)) == []


@pytest.mark.parametrize(
    ("old", "new", "where"),
    [
        ("change_per_day: 1G", "change_per_dya: 1G", "services/docs-attichy"),
        ("size: 80G", "size: 80 gigas", "services/docs-attichy/size"),
        ("size: 80G", "size: -1", "services/docs-attichy/size"),
        ("size: 80G", "size: ~", "services/docs-attichy/size"),
        ("size: 80G", "size: 80G~", "services/docs-attichy/size"),
        ("disk: 1T", "disk: ~1T", "defaults/node/disk"),
        ("copies: 2", "copies: 12", "defaults/service/copies"),
        ("copies: 2", "copies: two", "defaults/service/copies"),
        ("schedule: 21:30", "schedule: 25:30", "services/docs-attichy/schedule"),
        ("kind: flood", "kind: volcano", "zones/flood-aisne/kind"),
        ("insee: 60025", "insee: Oise", "sites/attichy/insee"),
        ("  docs-attichy:", "  Docs_Attichy:", "services"),
    ],
)
def test_a_mistake_that_the_loader_refuses_is_marked_at_its_place(old: str, new: str, where: str) -> None:
    text = GOOD.read_text().replace(old, new, 1)
    assert text != GOOD.read_text()
    with pytest.raises(InvalidFile):
        parse(text.encode(), name="territory.yml")
    assert where in mistakes(text)


def test_the_command_prints_the_schema(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["territory", "schema"]) == 0
    assert capsys.readouterr().out == FILE.read_text()
    assert main.run(["territory", "schema", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"schema": 1, "json_schema": SCHEMA}


@pytest.mark.parametrize("mistake", ["", "\nunknown: 1\n"])
def test_check_says_that_the_schema_of_an_editor_is_older(
    mistake: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, schema = tmp_path / "territory.yml", tmp_path / "older.json"
    file.write_text(f"# yaml-language-server: $schema={schema.name}\n{DEMO.read_text()}{mistake}")
    schema.write_text(schema_text().replace("lease_seconds", "lease_secs"))
    before = (file.read_bytes(), schema.read_bytes())
    code = main.run(["territory", "check", str(file)])
    said = capsys.readouterr().err
    assert said.startswith(f"{schema} is not the schema of this version, so an editor checks the file by other rules. ")
    assert f"`appliance territory schema >{schema}`" in said
    assert code == (2 if mistake else 0)
    assert (file.read_bytes(), schema.read_bytes()) == before
    schema.write_text(schema_text())
    main.run(["territory", "check", str(file)])
    assert "is not the schema" not in capsys.readouterr().err


@pytest.mark.parametrize("named", ["absent.json", "https://example.org/territory.schema.json", ".", "a\0b"])
def test_check_is_silent_on_a_schema_that_cannot_be_read_here(
    named: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "territory.yml"
    file.write_text(DEMO.read_text().replace("$schema=../territory.schema.json", f"$schema={named}"))
    main.run(["territory", "check", str(file)])
    assert "schema of this version" not in capsys.readouterr().err


def mistakes(text: str) -> list[str]:
    """The places that an editor would mark."""
    document = yaml.load(text, Loader=Yaml12)
    return ["/".join(map(str, it.absolute_path)) for it in VALIDATOR.iter_errors(document)]


def within(schema: Any) -> Iterator[dict[str, Any]]:
    """`schema` and each schema in it that describes a value."""
    if isinstance(schema, list):
        for it in schema:
            yield from within(it)
    elif isinstance(schema, dict):
        if {"type", "enum", "$ref"} & schema.keys():
            yield schema
        for it in schema.values():
            yield from within(it)


def is_list(hint: Any) -> bool:
    return list in (get_origin(hint), *(get_origin(it) for it in get_args(hint)))


def takes(hint: Any, value: object) -> bool:
    try:
        TypeAdapter(hint).validate_python(value)
    except ValidationError:
        return False
    return True


def is_valid(setting: dict[str, Any], value: object) -> bool:
    return Draft202012Validator(setting | {"$defs": SCHEMA["$defs"]}).is_valid(value)
