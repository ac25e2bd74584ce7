"""House rules that a machine can check (after TigerBeetle's tidy): one look at every file of the repository."""

from __future__ import annotations

import ast
import re
from collections import Counter
from functools import cache
from pathlib import Path

import yaml

from tests.unit.repository import OURS, ROOT, files, modules, name

LINES_MAX = 400
FOLDER_MAX = 28
INDENTED_IMPORT = re.compile(r"^ +(from|import)\s", re.MULTILINE)
IMPORT = re.compile(r"^ *(?:from|import) [^\n(]*(?:\([^)]*\))?", re.MULTILINE)
FOR_TYPES_ALONE = re.compile(r"^if TYPE_CHECKING:\n(?: +.*\n|\n)+", re.MULTILINE)
NAMES_THAT_HIDE_A_MISSING_IDEA = re.compile(r"(^|_)(utils?|helpers?|misc|common|managers?)(_|$)", re.IGNORECASE)
MANAGER = re.compile(r"^ *class (\w*manager\w*)", re.MULTILINE | re.IGNORECASE)
# Imported where they are used because starting a command must not pay for them; never to break a cycle.
LATE_IMPORTS = {
    ("appliance/cli/output.py", "rich.console.Console"),
    ("appliance/cli/output.py", "rich.progress.Progress"),
    ("appliance/agent/letters.py", "appliance.monitor.duty.queue_client"),
    ("appliance/cli/escrow/paper.py", "appliance.escrow.paper_pdf"),
    ("appliance/portal/dashboard/ask.py", "prometheus_client.parser.text_string_to_metric_families"),
    ("appliance/cli/node/collect.py", "appliance.config.load.load"),
    ("appliance/cli/node/collect.py", "appliance.config.load.territory_file"),
    ("appliance/cli/node/collect.py", "appliance.config.machines.machines_of"),
    ("appliance/cli/node/collect.py", "appliance.host.network.fleet.ask_all"),
    ("appliance/cli/node/trust_host_key.py", "appliance.config.load.load"),
    ("appliance/cli/arguments.py", "appliance.trust.identity.load_territory"),
    ("appliance/cli/language/spoken.py", "appliance.cli.language.sentences.sentences_of"),
    ("appliance/cli/status/status.py", "appliance.cli.this_status.this_status"),
    ("appliance/cli/restore/find.py", "appliance.cli.restore.found"),
    ("appliance/cli/node/trust_host_key.py", "appliance.config.load.territory_file"),
    ("appliance/cli/node/trust_host_key.py", "appliance.host.network.first_contact"),
    ("appliance/cli/failure.py", "difflib"),
    ("appliance/cli/failure.py", "appliance.cli.crash.write_crash"),
    ("appliance/failover/forms/database.py", "appliance.failover.forms.cluster"),
    ("appliance/failover/forms/database.py", "appliance.failover.forms.database_work"),
    ("appliance/failover/forms/database.py", "appliance.failover.forms.probes"),
    ("appliance/failover/forms/files.py", "appliance.failover.forms.trees"),
    ("appliance/failover/forms/share.py", "appliance.failover.forms.probes"),
    ("appliance/failover/forms/share.py", "appliance.failover.forms.share_work"),
    ("appliance/failover/forms/site.py", "appliance.failover.forms.probes"),
    ("appliance/failover/takeover_worker.py", "appliance.backup.writer.writer.run"),
    ("appliance/failover/takeover_worker.py", "appliance.backup.writer.writer.safety_of"),
    ("appliance/backup/writer/writer.py", "appliance.backup.writer.forgetting.forget_noted"),
    ("appliance/backup/writer/writer.py", "appliance.restore.unended.pinned"),
    ("appliance/backup/vault/sealing/sealer_local.py", "appliance.backup.vault.maintenance.scrub"),
    ("appliance/backup/vault/sealing/sealer_local.py", "appliance.backup.vault.maintenance.pruning"),
    ("appliance/backup/vault/sealing/sealer_client.py", "appliance.backup.vault.maintenance.scrub.Scrubbed"),
    ("appliance/backup/vault/sealing/sealer_client.py", "appliance.backup.vault.maintenance.pruning.Pruned"),
}
EACH_FUNCTION_IMPORTS = "appliance/agent/act.py"
"""A worker does one of its works and ends."""
# Paths of somebody's machine and the hosts of package indexes; [brackets] keep this file clean itself.
FORBIDDEN = re.compile(
    r"(?<![\w}])/(wo[r]k|fa[r]m|ro[o]t|tmp/bash[_]jobs)/|\.li[b]rary"
    r"|pypi[.]org|files[.]pythonhosted|deb[.]debian[.]org|registry[.]npmjs"
)


def test_no_module_has_grown_a_second_idea() -> None:
    long = {name(path): count for path in modules(*OURS, "tests") if (count := _lines(path)) > LINES_MAX}
    assert long == {}


def test_no_folder_is_a_drawer() -> None:
    counts = Counter(name(path.parent) for path in modules(*OURS))
    assert {folder: count for folder, count in counts.items() if count > FOLDER_MAX} == {}


def test_no_module_is_called_after_what_it_is_not() -> None:
    assert [name(path) for path in modules(*OURS) if NAMES_THAT_HIDE_A_MISSING_IDEA.search(path.stem)] == []


def test_no_class_is_a_manager() -> None:
    assert [f"{name(path)}: {found}" for path in modules(*OURS) for found in MANAGER.findall(path.read_text())] == []


def test_imports_name_what_they_bring() -> None:
    stars = [
        f"{name(path)}:{node.lineno}"
        for path in modules(*OURS, "tests")
        if "import *" in path.read_text()
        for node in ast.walk(_tree(path))
        if isinstance(node, ast.ImportFrom) and any(alias.name == "*" for alias in node.names)
    ]
    assert stars == []


def test_no_module_imports_a_test_file() -> None:
    """Code that two test files need is in a module beside them, or in the conftest.py of their folder."""
    importing = {name(path): found for path in modules("tests") if (found := _test_files_in(path.read_text()))}
    assert importing == {}


def test_an_import_of_a_test_file_is_found_wherever_it_names_one() -> None:
    assert _test_files_in("from tests.a.test_b import c\nimport tests.test_d\n") == ["test_b", "test_d"]
    assert _test_files_in("from tests.a import (\n    b,\n    test_c,\n)\n") == ["test_c"]
    assert _test_files_in("def f():\n    from tests.a import test_b as b\n") == ["test_b"]
    assert _test_files_in("from tests.a.b import c  # not test_b\nfrom a.tests import latest_c\n") == []


def test_imports_stand_at_the_top() -> None:
    found = {
        (name(path), imported)
        for path in modules(*OURS)
        if name(path) != EACH_FUNCTION_IMPORTS and INDENTED_IMPORT.search(FOR_TYPES_ALONE.sub("", path.read_text()))
        for function in ast.walk(_tree(path))
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for imported in _imported(node)
    }
    assert found - LATE_IMPORTS == set()
    assert LATE_IMPORTS - found == set(), "allowed, but no longer there"


def test_every_module_says_what_it_is_for() -> None:
    texts = {name(path): path.read_text() for path in modules(*OURS)}
    silent = [file for file, text in texts.items() if not re.match(r'"""[^"\s]', text)]
    assert silent == []


def test_every_package_has_its_init() -> None:
    folders = {path.parent for path in modules(*OURS)}
    assert [name(folder) for folder in folders if not (folder / "__init__.py").is_file()] == []


def test_links_between_pages_lead_somewhere() -> None:
    broken = [
        f"{name(page)}: {target}"
        for page in files()
        if page.suffix == ".md"
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text())
        if "://" not in target and not target.startswith("mailto:") and not (page.parent / target).exists()
    ]
    assert broken == []


def test_every_decision_record_names_problem_choice_price_and_objections() -> None:
    for page in sorted((ROOT / "docs/decisions").glob("[0-9]*.md")):
        headings = re.findall(r"^## (\w+)", page.read_text(), re.MULTILINE)
        assert headings == ["Problem", "Choice", "Price", "Objections"], page.name


def test_no_two_decision_records_have_one_number() -> None:
    numbers = [path.name[:4] for path in (ROOT / "docs/decisions").glob("*.md")]
    assert sorted(numbers) == sorted({*numbers})


def test_playbooks_only_list_roles() -> None:
    own = [
        f"{name(playbook)}: {task['name']}"
        for playbook in sorted((ROOT / "playbooks").glob("*.yml"))
        for play in yaml.safe_load(playbook.read_text())
        for section in ("pre_tasks", "tasks", "post_tasks", "handlers")
        for task in play.get(section, [])
        if "ansible.builtin.import_role" not in task
    ]
    assert own == []


def test_nothing_names_a_machine_or_a_package_index() -> None:
    named = [
        f"{name(path)}:{number}: {line.strip()[:80]}"
        for path in files()
        if path.suffix != ".lock" and not _is_binary(path)
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1)
        if FORBIDDEN.search(line)
    ]
    assert named == []


def test_the_locks_name_no_index_so_that_any_mirror_can_serve_them() -> None:
    for lock in (ROOT / "packages").glob("*.lock"):
        assert not re.search(r"https?://|--index|--find-links", lock.read_text()), lock.name


def test_every_package_to_install_has_its_reason() -> None:
    lines = (ROOT / "packages/debian.txt").read_text().splitlines()
    packages = [line for line in lines if line and line[0] not in "#["]
    assert [line for line in packages if not re.fullmatch(r"[a-z0-9.+-]+ +# \S.*", line)] == []


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), filename=name(path))


def _test_files_in(text: str) -> list[str]:
    return [it for imports in IMPORT.findall(text) for it in re.findall(r"\btest_\w+", imports.partition("#")[0])]


def _imported(node: ast.Import | ast.ImportFrom) -> list[str]:
    module = f"{node.module}." if isinstance(node, ast.ImportFrom) else ""
    return [module + alias.name for alias in node.names]


def _lines(path: Path) -> int:
    return len(path.read_text().splitlines())


def _is_binary(path: Path) -> bool:
    with path.open("rb") as file:
        return b"\0" in file.read(8192)
