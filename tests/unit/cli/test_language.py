"""The language of help: its choice, the catalogue, and pages that are wholly French or wholly English."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import click
import pytest

from appliance.cli import main
from appliance.cli.language.catalogue import LOCALE, catalogue, parse
from appliance.cli.language.choice import ENGLISH, FRENCH, chosen
from appliance.cli.language.help_page import PageContext
from appliance.cli.options import Options
from appliance_lab.pages.translations import english_pages, entry, missing, texts_of_pages

HELP = LOCALE / FRENCH / "LC_MESSAGES/help.po"
WAITING_MAX = 6
"""So many pages may be English, and so many entries stale: a change of help may come before its French."""


@pytest.mark.parametrize(
    ("argv", "environment", "language"),
    [
        (["status"], {}, ENGLISH),
        (["status"], {"APPLIANCE_LANGUAGE": "fr"}, FRENCH),
        (["--language", "fr", "status"], {}, FRENCH),
        (["status", "--help", "--language=fr"], {}, FRENCH),
        (["--language", "en", "status"], {"APPLIANCE_LANGUAGE": "fr"}, ENGLISH),
        (["--language", "fr", "status", "--language", "en"], {}, ENGLISH),
        (["restore", "file", "--", "--language", "fr"], {}, ENGLISH),
        ([], {"APPLIANCE_LANGUAGE": "fr"}, FRENCH),
        (["--language"], {}, ENGLISH),
        (["--language", "de"], {}, ENGLISH),
        (["status"], {"LANG": "fr_FR.UTF-8", "LC_ALL": "fr_FR.UTF-8"}, ENGLISH),
    ],
)
def test_the_command_line_chooses_the_language_before_the_environment(
    argv: list[str], environment: Mapping[str, str], language: str
) -> None:
    assert chosen(argv, environment) == language


@pytest.mark.parametrize("words", [["--language", "fr", "status", "--help"], ["status", "--help", "--language", "fr"]])
def test_help_is_french_wherever_the_option_stands(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(words) == 0
    told = capsys.readouterr().out
    assert told.startswith("Usage\u00a0: appliance status [OPTIONS]\n\n  Montrer si chaque service")
    assert "--watch" in told
    assert "Options\u00a0:" in told


def test_the_environment_chooses_french_and_the_option_english(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("APPLIANCE_LANGUAGE", "fr")
    assert main.run(["--help"]) == 0
    assert "Commandes\u00a0:" in capsys.readouterr().out
    assert main.run(["--language", "en", "--help"]) == 0
    assert "Commands:" in capsys.readouterr().out


def test_a_language_that_we_lack_is_refused_with_those_that_we_have(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["status", "--language", "de"]) == 2
    told = capsys.readouterr().err
    assert "'en', 'fr'" in told
    assert told.count("\n") == 1


def test_each_page_of_help_is_french_but_for_the_few_that_wait() -> None:
    lacking = "\n".join(missing(FRENCH))
    told = f"write the French of these entries into {HELP.name}:\n{lacking}"
    assert len(english_pages(FRENCH)) <= WAITING_MAX, told


def test_few_entries_of_the_help_are_stale() -> None:
    used = {text for texts in texts_of_pages().values() for text in texts}
    stale = [english for english in parse(HELP.read_text()) if english not in used]
    assert len(stale) <= WAITING_MAX, f"remove these entries from {HELP.name}: {stale}"


@click.command(help="One sentence.\n\nAnother sentence.")
@click.option("--days", default=3, show_default=True, required=True, help="For how long.")
def probe(days: int) -> None: ...


def helped(texts: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr("appliance.cli.language.help_page.catalogue", {FRENCH: texts}.__getitem__)
    context = PageContext(probe, info_name="probe", obj=Options(language=FRENCH), terminal_width=80)
    return context.get_help()


WORDS = {
    "Usage:": "Usage :",
    "Options": "Options ",
    "One sentence.": "Une phrase.",
    "Another sentence.": "Une autre.",
    "For how long.": "Combien de temps.",
    "default:": "par défaut :",
    "required": "obligatoire",
    "Show this message and exit.": "Afficher ceci.",
}


def test_a_page_keeps_what_is_typed_and_translates_what_click_adds(monkeypatch: pytest.MonkeyPatch) -> None:
    assert helped(WORDS, monkeypatch).splitlines() == [
        "Usage : probe [OPTIONS]",
        "",
        "  Une phrase.",
        "",
        "  Une autre.",
        "",
        "Options :",
        "  --days INTEGER  Combien de temps.  [par défaut : 3; obligatoire]",
        "  --help          Afficher ceci.",
    ]


@pytest.mark.parametrize("lost", WORDS)
def test_a_page_that_lacks_one_text_is_wholly_english(lost: str, monkeypatch: pytest.MonkeyPatch) -> None:
    told = helped({english: said for english, said in WORDS.items() if english != lost}, monkeypatch)
    assert told.startswith("Usage: probe [OPTIONS]\n\n  One sentence.\n\n  Another sentence.\n\nOptions:\n")
    assert not [said for said in WORDS.values() if said not in ("Usage :", "Options ") and said in told]


def test_an_entry_is_read_as_it_was_written() -> None:
    texts = {"One": "Un", 'A "word"\n\\ and\ttab': "\b\nUn « mot »\n" + "long " * 40, "x" * 300: "y" * 300}
    assert parse("\n".join(entry(english, said) for english, said in texts.items())) == texts


def test_the_header_and_what_has_no_text_yet_are_no_texts() -> None:
    text = '# A comment\nmsgid ""\nmsgstr ""\n"Language: fr\\n"\n\n#. page\nmsgid "One"\nmsgstr ""\n'
    assert parse(text) == {}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('msgid "a"\nmsgid_plural "b"\nmsgstr[0] "c"\n', "neither msgid nor msgstr: msgid"),
        ('msgctxt "menu"\nmsgid "a"\nmsgstr "b"\n', "neither msgid nor msgstr: msgctxt"),
        ('msgid "a"\nmsgstr "b\n', "neither msgid nor msgstr: msgid"),
        ('msgid "a"\nmsgstr "b"\nmsgid "a"\nmsgstr "c"\n', "twice: a"),
    ],
)
def test_what_nothing_would_print_is_refused(text: str, told: str) -> None:
    with pytest.raises(ValueError, match=re.escape(told)):
        parse(text)


@pytest.mark.parametrize("file", sorted((LOCALE / FRENCH).glob("**/*.po")), ids=lambda it: it.name)
def test_french_has_its_spaces_and_each_quoted_command_of_the_english(file: Path) -> None:
    texts = parse(file.read_text())
    assert [said for said in texts.values() if re.search(r" [:;?!»]|« |[^ \u00a0]»", said)] == []
    codes = {english: (quoted(english), quoted(said)) for english, said in texts.items()}
    assert {english: both for english, both in codes.items() if both[0] != both[1]} == {}


def quoted(text: str) -> list[str]:
    """Commands between backquotes, and options: they are typed, and have no language."""
    return sorted(re.findall(r"`[^`]+`|(?<!\w)--[a-z][a-z-]+", text))


def test_the_catalogue_is_the_union_of_its_files_and_english_has_none() -> None:
    assert catalogue(ENGLISH) == {}
    assert catalogue(FRENCH).items() >= parse(HELP.read_text()).items()
