"""The command as a user starts it: help, typing mistakes, common options, start-up time."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import click
import pytest

from appliance.cli import main
from appliance.cli.commands import COMMANDS, Entry
from appliance.cli.group import LazyGroup
from appliance.cli.options import options, state_folder
from appliance.cli.output import emit
from appliance.errors import UsageError
from appliance.trust.keys import create_key
from appliance_lab.pages.commands import page, walk, walk_internal

ROOT = Path(__file__).parents[3]


def start(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **variables}
    return subprocess.run(
        [sys.executable, "-P", "-m", "appliance", *words], capture_output=True, text=True, timeout=60, env=environment
    )


def shell(line: str, **variables: str) -> subprocess.CompletedProcess[bytes]:
    """Run `line` in bash; "$@" in it is the command."""
    words = [sys.executable, "-P", "-m", "appliance"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **variables}
    return subprocess.run(["bash", "-c", line, "bash", *words], capture_output=True, timeout=60, env=environment)


EVERY_COMMAND = {**dict(walk(main.root)), **dict(walk_internal())}
GROUPS = {words: group for words, group in EVERY_COMMAND.items() if isinstance(group, LazyGroup)}
MODULES = {entry.full_module for group in (main.root, *GROUPS.values()) for entry in group.entries.values()}


@pytest.mark.parametrize("words", EVERY_COMMAND, ids=" ".join)
def test_every_command_explains_itself(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run([*words, "--help"]) == 0
    told = capsys.readouterr()
    assert told.out.startswith(f"Usage: appliance {' '.join(words)}")
    assert EVERY_COMMAND[words].get_short_help_str(), "a command without a sentence"
    assert told.err == ""


def test_the_commands_page_says_what_help_says() -> None:
    assert (ROOT / "docs/reference/commands.md").read_text() == page(), "write it again: make docs"


@cache
def helped(*words: str) -> tuple[list[str], str, int]:
    """Return the output of --help after `words`, the modules of commands and the slow ones that were imported for it,
    and how many modules of all."""
    code = (
        f"import sys; from appliance.cli.main import run; run([*{words!r}, '--help']);"
        f"print(*[m for m in sys.modules if m in {MODULES} or m.split('.')[0] in ('pydantic', 'rich', 'asyncio')]);"
        "print(len(sys.modules))"
    )
    told = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    *help_lines, imported, count = told.stdout.splitlines()
    return help_lines, imported, int(count)


def test_help_lists_every_command_without_importing_any() -> None:
    help_lines, imported, _ = helped()
    assert imported == ""
    for name in main.root.listed:
        assert any(line.split()[:1] == [name] for line in help_lines)


@pytest.mark.parametrize("words", GROUPS, ids=" ".join)
def test_the_help_of_a_group_lists_its_verbs_without_importing_any(words: tuple[str, ...]) -> None:
    help_lines, imported, _ = helped(*words)
    assert imported == main.root.entries[words[0]].full_module
    for name in GROUPS[words].listed:
        assert any(line.split()[:1] == [name] for line in help_lines)


@pytest.mark.parametrize("words", GROUPS, ids=" ".join)
def test_a_group_says_of_a_verb_what_the_verb_says_of_itself(words: tuple[str, ...]) -> None:
    said = {name: EVERY_COMMAND[*words, name].get_short_help_str(limit=1000) for name in GROUPS[words].listed}
    assert {name: entry.help for name, entry in GROUPS[words].listed.items()} == said


def test_a_verb_of_a_group_imports_no_other() -> None:
    _, imported, _ = helped("internal", "node", "keys")
    assert imported.split() == ["appliance.cli.internal.group", "appliance.cli.internal.node.keys"]


MOST = {
    (): 175,
    **dict.fromkeys(GROUPS, 175),
    ("internal", "node", "keys"): 275,
    ("status",): 235,
    ("survey",): 195,
    ("restore", "find"): 210,
}


@pytest.mark.parametrize(("words", "most"), MOST.items())
def test_a_start_loads_little(words: tuple[str, ...], most: int) -> None:
    """The modules that it loads make a start slow, and they can be counted; seconds are the benchmark's, row
    `start`."""
    assert helped(*words)[2] <= most


def test_no_command_shows_the_help() -> None:
    assert start().stdout.startswith("Usage: appliance")
    assert start().returncode == 0


def test_the_version_is_told() -> None:
    assert start("--version").stdout.startswith("appliance, version ")


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (("teritory",), "Did you mean territory?"),
        (("lab", "corpsu"), "Did you mean corpus?"),
        (("node", "acept"), "Did you mean accept?"),
        (("completion", "--jsno"), "Did you mean --json?"),
        (("completion", "tcsh"), "bash, zsh, fish"),
    ],
)
def test_a_typing_mistake_ends_with_2_and_what_was_meant(words: tuple[str, ...], hint: str) -> None:
    told = start(*words)
    assert told.returncode == 2
    assert hint in told.stderr.replace("'", "")  # click's newer versions quote what is meant
    assert told.stderr.count("\n") == 1


def test_a_reader_that_goes_away_ends_the_command_quietly() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as closed:
        ended = subprocess.run(
            [sys.executable, "-m", "appliance", "--help"], cwd=ROOT, stdout=closed, stderr=subprocess.PIPE, timeout=60
        )
    assert ended.returncode == 141
    assert ended.stderr == b""


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script_for(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["completion", shell]) == 0
    assert "_APPLIANCE_COMPLETE" in capsys.readouterr().out


def test_completion_offers_commands_that_begin_with_what_was_typed() -> None:
    told = start(_APPLIANCE_COMPLETE="bash_complete", COMP_WORDS="appliance comp", COMP_CWORD="1")
    assert told.stdout == "plain,completion\n"


def test_completion_offers_the_verbs_of_a_group_too() -> None:
    told = start(_APPLIANCE_COMPLETE="bash_complete", COMP_WORDS="appliance node co", COMP_CWORD="2")
    assert told.stdout == "plain,collect\n"


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("appliance int", "\n"),
        ("appliance internal no", "plain,node\n"),
        ("appliance internal node se", "plain,setup\n"),
    ],
)
def test_completion_offers_internal_commands_only_below_internal(typed: str, offered: str) -> None:
    words = {"COMP_WORDS": typed, "COMP_CWORD": str(len(typed.split()) - 1)}
    assert start(_APPLIANCE_COMPLETE="bash_complete", **words).stdout == offered


def test_help_does_not_list_the_internal_commands_which_explain_themselves(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["--help"]) == 0
    assert "internal" not in capsys.readouterr().out
    assert main.run(["internal", "--help"]) == 0
    assert re.search(r"^  node +Configure this host as a node", capsys.readouterr().out, re.MULTILINE)


def test_the_page_of_the_commands_has_internal_ones_in_a_part_of_their_own() -> None:
    people, _, programs = page().partition("\n# Internal commands\n")
    first_word = re.compile(r"^##+ `appliance ([a-z]+)", re.MULTILINE)
    assert "internal" not in first_word.findall(people)
    assert set(first_word.findall(programs)) == {"internal"}


@pytest.mark.parametrize("words", ["appliance --state {} vault scrub docs", "appliance vault scrub --state {} docs"])
def test_completion_offers_the_services_of_the_node_of_state(tmp_path: Path, words: str) -> None:
    for name in ("services/docs-a", "services/etat-civil", "vault/docs-b", "vault/docs-a", "vault/helpers.json"):
        (tmp_path / name).mkdir(parents=True)
    typed = words.format(tmp_path)
    told = start(_APPLIANCE_COMPLETE="bash_complete", COMP_WORDS=typed, COMP_CWORD=str(len(typed.split()) - 1))
    assert told.stdout == "plain,docs-a\nplain,docs-b\n"


def test_completion_without_a_known_shell_asks_for_its_name() -> None:
    told = start("completion", SHELL="/bin/tcsh")
    assert (told.returncode, told.stderr) == (
        2,
        "appliance: the shell in use is not known. Name one: bash, zsh, fish.\n",
    )


@pytest.fixture
def probe(monkeypatch: pytest.MonkeyPatch) -> LazyGroup:
    """The root with one more command, which prints the options it sees; `own` has a --json of its own."""

    @click.command()
    def seen() -> int:
        found = options()
        emit({"state": found.state, "quiet": found.quiet}, f"{found.state} {found.quiet}")
        return 1

    @click.command()
    @click.option("--json", "as_json", is_flag=True)
    def own(as_json: bool) -> None:
        click.echo(as_json)

    module = type(sys)("appliance.cli.completion_cmd_probe")
    vars(module).update(seen=seen, own=own)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    entries = {name: Entry("completion_cmd_probe", name, "probe") for name in ("seen", "own")}
    monkeypatch.setattr(main.root, "entries", entries)
    monkeypatch.setattr(main.root, "commands", {})
    return main.root


@pytest.mark.usefixtures("probe")
@pytest.mark.parametrize(
    "words", [["--json", "--quiet", "--state", "a", "seen"], ["seen", "--json", "--quiet", "--state", "a"]]
)
def test_common_options_may_stand_before_or_after_the_command(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.run(words) == 1
    assert json.loads(capsys.readouterr().out) == {"schema": 1, "state": "a", "quiet": True}


@pytest.mark.usefixtures("probe")
@pytest.mark.parametrize(
    ("words", "state"), [(["seen"], "env"), (["--state", "a", "seen"], "a"), (["seen", "--state", "a"], "a")]
)
def test_the_command_line_beats_the_environment(
    words: list[str], state: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("APPLIANCE_STATE", "env")
    main.run(words)
    assert capsys.readouterr().out == f"{state} False\n"


@pytest.mark.usefixtures("probe")
def test_a_command_with_its_own_json_obeys_the_one_before_it(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["own"], ["--json", "own"], ["own", "--json"], ["own"]):
        main.run(words)
    assert capsys.readouterr().out.split() == ["False", "True", "True", "False"]


def test_a_command_about_a_node_asks_which_one() -> None:
    if Path("/etc/appliance/state").exists():
        pytest.skip("this machine is a node")
    with pytest.raises(UsageError, match="state folder is not known"):
        state_folder()


def test_every_announced_command_exists() -> None:
    missing = [name for name in COMMANDS if name not in main.root.entries]
    if missing:
        pytest.skip(f"not written yet: {', '.join(missing)}")


def test_help_has_every_exit_code_of_the_page() -> None:
    page_text = (ROOT / "docs/reference/exit-codes.md").read_text()
    assert [int(code) for code in re.findall(r"(?m)^\| (\d+) \|", page_text)] == list(main.EXIT_CODES)


@pytest.mark.parametrize("line", ['"$@" --version >&-', '"$@" --help >&- 2>&-', '"$@" --version <&-'])
def test_a_closed_stream_ends_nothing_with_a_traceback(line: str) -> None:
    done = shell(line)
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_name_that_is_no_utf8_is_printed_as_it_is_and_typed_as_a_shell_reads_it(tmp_path: Path) -> None:
    key, out = tmp_path / "key", os.fsencode(tmp_path) + b"/b\xe9"
    create_key(key)
    line = f"\"$@\" territory sign {ROOT}/inventory/demo --key {key} --out {tmp_path}/$'b\\xe9'"
    done = shell(line, PYTHONIOENCODING="utf-8:strict")
    assert done.returncode == 1, done.stderr
    assert b"is signed: " + out in done.stdout
    assert f"appliance node accept $'{tmp_path}/b\\xe9'".encode() in done.stderr


def test_what_a_shell_hands_over_is_read_through_its_pipe() -> None:
    assert b"No mistake" in shell(f'"$@" territory check <(cat {ROOT}/inventory/demo/territory.yml)').stdout
