"""Each kind of service that moves has one form, and no other module decides anything by the name of a form or kind.

A form that lacks a step of docs/how-to/add-a-service-form.md fails here.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest

from appliance.config.explain import InvalidFile
from appliance.config.load import parse
from appliance.errors import IntegrityError
from appliance.failover.forms.form import Form
from appliance.failover.forms.known_forms import FORMS, form_named
from appliance.programs import privileged
from appliance.territory.model import SERVICE_KINDS
from appliance.territory.service_forms import ALL, ServiceForm, form_of
from tests.worlds import small

ROOT = Path(__file__).parents[3]
GOOD = (ROOT / "tests/cases/territory/good.yml").read_text("utf-8")
FOLDERS = "    paths: [/srv/partages]\n"
NAMES = {"SITE", "SHARE", "DATABASE", "ALL"}
"""The names of forms in `territory/service_forms.py`."""
KIND_OR_FORM = re.compile(r"\b(kind|form|service_forms)\b")
MAY_NAME_A_KIND = {
    "appliance/failover/forms/": "the forms themselves",
    "appliance/territory/": "what of them stands in a territory",
    "appliance/config/": "reads territory.yml and tells its mistakes",
    "appliance/programs/privileged.py": "imports nothing of ours",
    "appliance/portal/pages/published.py": "shows sites alone",
    # How files are saved and proven, also of services that stay.
    "appliance/backup/proofs/": "reads dumps",
    "appliance/backup/sources/": "makes dumps",
    "appliance/backup/restore_requests.py": "asks for a database file beside its dump",
    "appliance/portal/freshness.py": "tells that the files of a service are databases",
    "appliance/cli/restore/": "tells how a dump is loaded",
}


def test_territory_failover_and_privileged_helper_know_the_same_forms() -> None:
    assert {name: form.service_form for name, form in FORMS.items()} == {form.name: form for form in ALL}
    assert {privileged.SITE, privileged.SHARE, privileged.DATABASE} == set(FORMS), "root knows the same ones"


@pytest.mark.parametrize("form", ALL, ids=lambda it: it.name)
def test_the_package_has_every_unit_by_which_a_form_serves(form: ServiceForm) -> None:
    missing = [unit for unit in (form.unit, form.copy) if unit and not (ROOT / f"systemd/{unit}@.service").is_file()]
    assert missing == []


def test_a_service_whose_kind_no_form_serves_is_refused() -> None:
    service = replace(small.service("docs-a", "commune-a"), kind="printer", address="10.64.8.3")
    with pytest.raises(IntegrityError, match="no form serves docs-a, whose kind is printer"):
        form_of(service)


@pytest.mark.parametrize("kind", SERVICE_KINDS)
def test_each_kind_that_territory_yml_lets_move_is_served_by_one_form(kind: str) -> None:
    with pytest.raises(InvalidFile) as refused:
        parse(
            GOOD.replace(FOLDERS, f"{FOLDERS}    kind: {kind}\n    address: 10.64.8.3\n").encode(), name="territory.yml"
        )
    refuses = f"so far, but the kind is {kind}." in str(refused.value)
    service = replace(small.service("docs-a", "commune-a"), kind=kind, address="10.64.8.3")
    if refuses:
        with pytest.raises(IntegrityError, match=f"whose kind is {kind}"):
            form_of(service)
    else:
        assert {form_of(it).name for it in (service, replace(service, share="Documents"))} <= set(FORMS)
    assert refuses == (kind not in {"files": {"site", "share"}, "postgresql": {"database"}})


def test_an_unknown_form_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(IntegrityError, match=r'"printer" is not a form .*: site, share, database\.'):
        form_named("printer")


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_a_worker_can_load_what_a_form_says_that_it_needs(form: Form) -> None:
    assert find_spec(form.loads)


def test_no_other_module_decides_by_the_name_of_a_form_or_kind() -> None:
    found = {
        f"{name}: {line}"
        for path in sorted((ROOT / "appliance").rglob("*.py"))
        if not (name := str(path.relative_to(ROOT))).startswith(tuple(MAY_NAME_A_KIND))
        for line in decided_by_kind(path.read_text())
    }
    assert found == set()


@pytest.mark.parametrize(
    "code",
    [
        "from appliance.territory.service_forms import SHARE, form_of",
        "a = plan.form == 'share'",
        "if node.form(service).name in ('site', 'share'): pass",
        "b = 1 if service.kind != 'postgresql' else 2",
        "match form.name:\n    case 'database': pass",
        "c = {'share': 1}.get(plan.form)",
    ],
)
def test_code_that_decides_by_the_name_of_a_form_or_kind_is_found(code: str) -> None:
    assert list(decided_by_kind(code))


def decided_by_kind(code: str) -> Iterator[str]:
    """Yield the names of forms and kinds that `code` imports, compares with, or looks up by."""
    if not KIND_OR_FORM.search(code):
        return
    for node in ast.walk(ast.parse(code)):
        match node:
            case ast.ImportFrom(module="appliance.territory.service_forms"):
                yield from (it.name for it in node.names if it.name in NAMES)
            case ast.Compare() | ast.Match() | ast.Call(func=ast.Attribute(value=ast.Dict())):
                line, literals = ast.unparse(node), _literals(node)
                if literals & {*FORMS, *SERVICE_KINDS} and KIND_OR_FORM.search(line):
                    yield line.partition("\n")[0]


def _literals(node: ast.AST) -> set[object]:
    parts = [*node.cases, node.subject] if isinstance(node, ast.Match) else [node]
    patterns = [case.pattern if isinstance(case, ast.match_case) else case for case in parts]
    return {it.value for part in patterns for it in ast.walk(part) if isinstance(it, ast.Constant)}
