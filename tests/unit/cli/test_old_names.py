"""Old names of verbs and options work and say the new one; nothing of ours types or tells them."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from appliance.cli import main
from appliance.cli.group import LazyGroup
from appliance.cli.renamed import RenamedOption

ROOT = Path(__file__).parents[3]
TYPED = ("systemd", "debian", "roles", "playbooks", "molecule", "inventory", "scripts", "bin", "Makefile")
TOLD = ("README.md", "CONTRIBUTING.md", "SECURITY.md", "docs", "appliance", "appliance_lab", "tests")
NAMES_THEM = re.compile(r"appliance/cli/(\w+/)?group\.py|appliance/cli/commands\.py|tests/unit/cli/test_old_names\.py")
SEPARATORS = (" ", '", "', "', '", ", ")
"""Between the words of a command: in a sentence, in a list of Python, of Jinja, of YAML."""
BETWEEN = f"(?:{'|'.join(SEPARATORS)})"
NOT_A_COMMAND = {"node, keys = ", 'action in ("backup", "tidy")'}


def renamed(group: LazyGroup = main.root, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    """(the words of an old name, the new name)."""
    for name, entry in group.entries.items():
        if entry.now:
            yield (*path, name), entry.now
        elif isinstance(command := group.get_command(click.Context(group), name), LazyGroup):
            yield from renamed(command, (*path, name))


ROOT_CONTEXT = click.Context(main.root)
RENAMED = dict(renamed())


def renamed_options(group: LazyGroup = main.root, path: tuple[str, ...] = ()) -> Iterator[tuple[str, RenamedOption]]:
    """(the words of a command, an option of it that has an old name)."""
    for name in group.listed:
        command = group.get_command(click.Context(group), name)
        if isinstance(command, LazyGroup):
            yield from renamed_options(command, (*path, name))
        elif command:
            found = (it for it in command.params if isinstance(it, RenamedOption))
            yield from ((" ".join((*path, name)), it) for it in found)


RENAMED_OPTIONS = list(renamed_options())
OLD_OPTION = re.compile(rf"(?<![\w-])(?:{'|'.join(sorted({it.formerly for _, it in RENAMED_OPTIONS}))})(?![\w-])")
DECLARES_ONE = re.compile(r'formerly="--[\w-]+"')


def command_of(words: list[str]) -> click.Command | None:
    command: click.Command | None = main.root
    for word in words:
        assert isinstance(command, click.Group)
        command = command.get_command(click.Context(command), word)
    return command


def old_name(words: tuple[str, ...], now: str) -> re.Pattern[str]:
    """Finds an old name; where the new one ends with the same words, only without what it has before them."""
    if len(words) == 1:
        return re.compile(rf"(?<=appliance ){words[0]}(?![\w-])")
    fresh = tuple(now.split())
    before = fresh[-len(words) - 1] if fresh[-len(words) :] == words else ""
    new = "".join(f"(?<!{before}{between})" for between in SEPARATORS) if before else ""
    return re.compile(rf"(?<![\w-]){new}{BETWEEN.join(words)}(?![\w-]|\.py)")


PATTERNS = {words: old_name(words, now) for words, now in RENAMED.items()}


def texts(roots: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """(name, text) of every tracked file below `roots`."""
    tracked = subprocess.run(("git", "ls-files", "-z", *roots), cwd=ROOT, capture_output=True, text=True, check=True)
    for name in filter(None, tracked.stdout.split("\0")):
        path = ROOT / name
        if NAMES_THEM.fullmatch(name) or path.is_symlink() or not path.is_file():
            continue
        yield name, path.read_text(errors="replace")


def old_names_in(text: str) -> Iterator[tuple[int, str]]:
    """(number, line) of each line that uses an old name or option; a pattern is slow, and most texts lack its words."""
    likely = [(words[-1], it) for words, it in PATTERNS.items() if all(word in text for word in words)]
    likely += [(it.formerly, OLD_OPTION) for _, it in RENAMED_OPTIONS if it.formerly in text]
    for number, line in enumerate(text.splitlines(), 1):
        used = [pattern for word, pattern in likely if word in line and pattern.search(DECLARES_ONE.sub("", line))]
        if used and not any(text in line for text in NOT_A_COMMAND):
            yield number, line


def test_there_are_old_names_to_look_for() -> None:
    assert RENAMED["node", "settle"] == "internal node setup"
    assert PATTERNS["node", "apply"].search('argv: ["appliance", "node", "apply"]')
    assert PATTERNS["node", "apply"].search("argv: [appliance, node, apply]")
    assert not PATTERNS["node", "apply"].search("argv: [appliance, internal, node, apply]")
    assert not PATTERNS["node", "apply"].search("`appliance internal node apply`")
    typed = '`appliance node apply`\n`appliance internal node apply`\n`restore all --paper`\nformerly="--paper"\n'
    assert [number for number, _ in old_names_in(typed)] == [1, 3]


@pytest.mark.parametrize(("words", "now"), RENAMED.items(), ids=[" ".join(words) for words in RENAMED])
def test_an_old_name_does_what_the_new_one_does(words: tuple[str, ...], now: str) -> None:
    assert command_of(list(words)) is command_of(now.split())


@pytest.mark.parametrize("words", RENAMED, ids=" ".join)
def test_an_old_name_says_the_new_one_on_standard_error(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.run([*words, "--help"]) == 0
    said = capsys.readouterr()
    assert said.err == f'"appliance {" ".join(words)}" is now "appliance {RENAMED[words]}".\n'
    assert said.out.startswith("Usage: ")


def test_an_old_name_works_as_the_new_one_and_is_not_listed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "history.jsonl").touch()
    assert main.run(["failover", "check", str(tmp_path / "history.jsonl")]) == 2, "what the verb says of an empty file"
    assert "empty history" in capsys.readouterr().err
    assert main.run(["failover", "--help"]) == 0
    assert "  check " not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "option"), RENAMED_OPTIONS, ids=[f"{words} {it.formerly}" for words, it in RENAMED_OPTIONS]
)
def test_an_old_option_works_as_the_new_one_and_says_it(
    words: str, option: RenamedOption, capsys: pytest.CaptureFixture[str]
) -> None:
    value = [] if option.is_flag else ["60"]
    given = [given_for(words, option, [name, *value]) for name in (option.opts[0], option.formerly)]
    assert given[0] == given[1] != given_for(words, option, [])
    assert capsys.readouterr().err == f'"{option.formerly}" is now "{option.opts[0]}".\n'
    assert main.run([*words.split(), "--help"]) == 0
    assert option.formerly not in capsys.readouterr().out.split()


def given_for(words: str, option: click.Option, typed: list[str]) -> object:
    """The value of `option` where only `typed` is given to the command of these words."""
    command = command_of(words.split())
    assert command
    context = click.Context(command)
    given, _, _ = command.make_parser(context).parse_args(list(typed))
    option.handle_parse_result(context, given, [])
    return context.params[str(option.name)]


def test_a_value_or_an_argument_that_equals_an_old_option_stays(capsys: pytest.CaptureFixture[str]) -> None:
    assert typed_at("backup", "resync", "docs-a", "--reason", "--paper").params["reason"] == "--paper"
    assert typed_at("restore", "find", "--", "--paper").params["words"] == ("--paper",)
    assert capsys.readouterr().err == ""


def typed_at(group: str, *words: str) -> click.Context:
    """How the verb reads `words`."""
    found = main.root.get_command(ROOT_CONTEXT, group)
    assert isinstance(found, LazyGroup)
    name, verb, rest = found.resolve_command(click.Context(found), list(words))
    assert verb
    return verb.make_context(name, rest)


def test_no_unit_role_playbook_page_or_code_uses_an_old_name_or_option() -> None:
    found = [
        f"{name}:{number}: {line.strip()}"
        for name, text in texts((*TYPED, *TOLD))
        for number, line in old_names_in(text)
    ]
    assert found == []
