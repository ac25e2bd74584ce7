"""Each kind of service that moves has one form, and no other module decides anything by the name of a kind."""

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
from appliance.territory.service_forms import ALL, form_of
from tests.worlds import small

ROOT = Path(__file__).parents[3]
GOOD = (ROOT / "tests/cases/territory/good.yml").read_text("utf-8")
FOLDERS = "    paths: [/srv/partages]\n"
NAMES = {"SITE", "SHARE", "DATABASE", "ALL"}
"""The names of kinds in `territory/service_forms.py`."""
MAY_NAME_A_KIND = {
    "appliance/failover/forms/": "the kinds themselves",
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


def test_each_kind_of_the_territory_has_a_form_and_each_form_is_a_kind_of_the_territory() -> None:
    assert {name: form.kind for name, form in FORMS.items()} == {kind.name: kind for kind in ALL}
    assert {privileged.SITE, privileged.SHARE, privileged.DATABASE} == set(FORMS), "root knows the same ones"


@pytest.mark.parametrize("kind", SERVICE_KINDS)
def test_each_kind_that_territory_yml_lets_move_is_served_by_one_form(kind: str) -> None:
    with pytest.raises(InvalidFile) as refused:
        parse(
            GOOD.replace(FOLDERS, f"{FOLDERS}    kind: {kind}\n    address: 10.64.8.3\n").encode(), name="territory.yml"
        )
    refuses = f"so far, but the kind is {kind}." in str(refused.value)
    service = replace(small.service("docs-a", "commune-a"), kind=kind, address="10.64.8.3")
    served = {form_of(it).name for it in (service, replace(service, share="Documents"))}
    assert refuses or served <= set(FORMS)
    assert refuses == (kind not in {"files": {"site", "share"}, "postgresql": {"database"}})


def test_an_unknown_kind_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(IntegrityError, match=r'"printer" is not a kind .*: site, share, database\.'):
        form_named("printer")


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_a_worker_can_load_what_a_kind_says_that_it_needs(form: Form) -> None:
    assert find_spec(form.loads)


def test_no_other_module_decides_by_the_name_of_a_kind() -> None:
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
def test_code_that_decides_by_the_name_of_a_kind_is_found(code: str) -> None:
    assert list(decided_by_kind(code))


def decided_by_kind(code: str) -> Iterator[str]:
    """Yield the names of kinds that `code` imports, compares with, or looks up by."""
    for node in ast.walk(ast.parse(code)):
        match node:
            case ast.ImportFrom(module="appliance.territory.service_forms"):
                yield from (it.name for it in node.names if it.name in NAMES)
            case ast.Compare() | ast.Match() | ast.Call(func=ast.Attribute(value=ast.Dict())):
                line, literals = ast.unparse(node), _literals(node)
                if literals & {*FORMS, *SERVICE_KINDS} and re.search(r"\b(kind|form)\b", line):
                    yield line.partition("\n")[0]


def _literals(node: ast.AST) -> set[object]:
    parts = [*node.cases, node.subject] if isinstance(node, ast.Match) else [node]
    patterns = [case.pattern if isinstance(case, ast.match_case) else case for case in parts]
    return {it.value for part in patterns for it in ast.walk(part) if isinstance(it, ast.Constant)}
