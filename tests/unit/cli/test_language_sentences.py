"""Sentences with values in French: recognised by their templates, wholly or not at all, never what is typed."""

from __future__ import annotations

import re
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from appliance.cli import main
from appliance.cli.language.catalogue import LOCALE, Untranslated, parse
from appliance.cli.language.choice import FRENCH
from appliance.cli.language.sentences import PLACE, Sentences, sentences_of
from appliance.cli.language.spoken import FINISHED, Voice
from appliance.cli.language.values import CITED, ITEMS, KINDS, PHRASE, in_french
from appliance.cli.status.doctor import answers_of, doctor_text
from appliance.cli.status.text import status_text
from appliance_lab.pages.sentences import OF_ERRORS, OF_FINISHED, OF_STATUS, PACKAGE, errors_of, lacking
from appliance_lab.processes.territory import ProcessTerritory
from tests.unit.monitor.status_cases import EVERY_CASE, judged
from tests.worlds.demo import signed_territory

CATALOGUES = {file.stem: parse(file.read_text()) for file in sorted((LOCALE / FRENCH).rglob("*.po"))}
OF_SENTENCES = {
    english: said for name, texts in CATALOGUES.items() if name != "help" for english, said in texts.items()
}
STALE_MAX = 12
"""So many entries may be of no sentence: those that the code makes of single words, and what a change left."""
NO_SENTENCES = ("signing key", "none yet: {}")
"""`node show` alone prints these; it stands beside `node accept`."""
FOUND = sentences_of(FRENCH)
VOICE = Voice(FOUND.say, FOUND.say_or_quote)
OURS = Sentences(
    {
        "{name} is {age} old.": "{name} est vieux de {age}.",
        "{phrase}, so nothing is saved.": "rien n'est sauvé : {phrase}.",
        "{name} writes it": "{name} l'écrit",
        "it failed: {cited}": "échec : {cited}",
        "left out: {items}.": "laissés : {items}.",
        "Type {command}.": "Tapez {command}.",
        "the disk is full.": "le disque est plein.",
        "2 of {n} are well": "2 sur {n} vont bien",
        "{n} of {n2} are well": "{n} de {n2} vont bien",
        "{size} of {size2}": "{size} sur {size2}",
    }
)


@pytest.mark.parametrize(
    ("english", "french"),
    [
        ("commune-a is 3 d 4 h old.", "commune-a est vieux de 3 j 4 h."),
        ("commune-a writes it, so nothing is saved.", "rien n'est sauvé : commune-a l'écrit."),
        ("it failed: the disk is full.", "échec : le disque est plein."),
        ("it failed: ssh: exit 255", "échec : «\u00a0ssh: exit 255\u00a0»"),
        (
            "left out: /a b (the disk is full.), /c (odd).",
            "laissés : /a b (le disque est plein.), /c («\u00a0odd\u00a0»).",
        ),
        ("the disk is full. Type `the disk is full.`.", "le disque est plein. Tapez `the disk is full.`."),
        ("commune-b: the disk is full.", "commune-b\u00a0: le disque est plein."),
        ("/srv/x: the disk is full.", "/srv/x\u00a0: le disque est plein."),
        ("2 of 3 are well; 1.5 GiB of 20 GiB", "2 sur 3 vont bien\u00a0; 1,5 Gio sur 20 Gio"),
        ("4 of 5 are well", "4 de 5 vont bien"),
    ],
)
def test_a_sentence_is_said_with_its_values(english: str, french: str) -> None:
    assert OURS.say(english) == french


@pytest.mark.parametrize(
    "english",
    [
        "commune-a is rather old.",
        "nobody at all writes it, so nothing is saved.",
        "the disk is full. It smokes.",
        "commune-a is 3 d 4 h old. And more",
        "",
    ],
)
def test_a_sentence_of_which_a_part_is_not_known_is_not_said_in_part(english: str) -> None:
    with pytest.raises(Untranslated):
        OURS.say(english)
    assert OURS.say_or_quote(english) == f"«\u00a0{english}\u00a0»"


@pytest.mark.parametrize(
    ("kind", "value", "french"),
    [
        ("age", "3 d 4 h", "3 j 4 h"),
        ("age", "0.4 s", "0,4 s"),
        ("size", "1.21 GiB", "1,21 Gio"),
        ("size", "17 B", "17 o"),
        ("date", "2026-12-01", "1er décembre 2026"),
        ("date", "2026-99-01", "2026-99-01"),
        ("time", "2026-08-09T07:05:00Z", "9 août 2026 à 7 h 05 UTC"),
        ("name", "commune-a", "commune-a"),
    ],
)
def test_quantities_and_dates_have_their_french_form(kind: str, value: str, french: str) -> None:
    assert re.fullmatch(KINDS[kind], value)
    assert in_french(kind, value) == french


@pytest.mark.parametrize("english", OF_SENTENCES)
def test_each_entry_keeps_the_places_of_its_values_and_what_is_typed(english: str) -> None:
    said = OF_SENTENCES[english]
    places = {kind + number for kind, number in PLACE.findall(english)}
    assert places == {kind + number for kind, number in PLACE.findall(said)}
    assert {kind for kind, _ in PLACE.findall(english)} <= set(KINDS)
    assert re.findall("`[^`]+`", english) == re.findall("`[^`]+`", said)
    typed = re.compile(r"journalctl|systemctl|(?<!the )appliance [a-z]+|territory\.yml|--[a-z]+")
    assert set(typed.findall(english)) == set(typed.findall(said))
    assert not re.search(r"(?<!`) [:;?!»]", said.replace("`", "")), "a space before : ; ? ! that can break"


@pytest.mark.parametrize("english", [it for it in OF_SENTENCES if PLACE.search(it)])
def test_a_template_has_words_of_its_own_so_that_it_is_no_other_sentence(english: str) -> None:
    kinds = {kind for kind, _ in PLACE.findall(english)}
    own = re.findall("[A-Za-z]", PLACE.sub("", english))
    assert len(own) >= (3 if kinds & {PHRASE, CITED, ITEMS, "path"} else 2)


def test_each_sentence_in_the_code_of_status_and_doctor_is_in_french() -> None:
    assert [*lacking(OF_STATUS, FRENCH)] == [], "python3 -m appliance_lab.pages.sentences prints the entries to fill in"


def test_each_sentence_of_a_finished_command_is_in_french() -> None:
    assert set(OF_FINISHED) == FINISHED
    modules = sorted({module for found in OF_FINISHED.values() for module in found})
    assert [it for it in lacking(modules, FRENCH) if it[1] not in NO_SENTENCES] == []


def test_each_error_of_a_module_whose_errors_are_french_is_in_french() -> None:
    assert [*lacking(OF_ERRORS, FRENCH, errors_of)] == []


@pytest.mark.parametrize(
    "error",
    [
        "commune-b already holds the lease of docs-a.",
        "docs-a has no lease holder now, so it cannot be handed over. `appliance failover status` shows its state; "
        "`promote` gives it to commune-b by a signed act.",
        "commune-a has been caught up with docs-a for 20 s of the required 300 s. Try again in 280 s. "
        "`failover move docs-a commune-a` does not wait, and loses nothing.",
        "commune-b has no replica to serve: ssh: odd. Back up first, or choose another one.",
        "commune-b could not get a grant of docs-a now: 2 voters must answer and know its newest grant; "
        "known at: none. `appliance failover status` shows which voters answer; commune-a shows each of them the grant "
        "within seconds. Then try again.",
        "docs-a cannot leave commune-a: commune-b does not report to the voters.",
        'there is no zone "nord"; known: est, sud.',
        "ops@commune-a already intends to move docs-a. Wait until that has ended, or ask that operator.",
    ],
)
def test_why_nothing_moves_is_said_wholly_in_french(error: str) -> None:
    shown = FOUND.say(error)
    assert not re.search(r"\b(the|has|its|is|not|with|then|wait)\b", without_what_is_typed(shown), re.IGNORECASE)


@pytest.mark.parametrize(
    ("noted", "french"),
    [
        (
            "sending generation 2.3 to commune-b failed 3 times in a row: commune-b does not answer: ssh: timed out.",
            "envoi de la génération 2.3 à commune-b : échec, 3 fois de suite : commune-b ne répond pas : "
            "« ssh: timed out ».",
        ),
        (
            "the last backup failed once: /srv/docs: permission denied to this account.",
            "dernière sauvegarde : échec, une fois : /srv/docs : accès refusé à ce compte.",
        ),
        ("the last backup failed once: Rsync: odd", "dernière sauvegarde : échec, une fois : « Rsync: odd »"),
    ],
)
def test_what_the_agent_noted_is_said_with_its_error(noted: str, french: str) -> None:
    assert FOUND.say(noted).replace("\u00a0", " ") == french


def test_few_entries_are_of_no_sentence_in_the_code() -> None:
    code = {pair for module in PACKAGE.rglob("*.py") for pair in pairs(module.read_text())}
    stale = [it for it in CATALOGUES["status"] if (own := pairs(it)) and len(own & code) < len(own) / 2]
    assert len(stale) <= STALE_MAX, f"remove these entries from status.po: {stale}"


APART = str.maketrans(dict.fromkeys('.,:;?()"`{}', "\n"))


def pairs(text: str) -> set[tuple[str, str]]:
    """The words of `text` that follow each other, with nothing between them."""
    return {pair for piece in text.translate(APART).splitlines() for pair in pairwise(piece.split())}


@pytest.mark.parametrize("case", EVERY_CASE)
def test_status_and_doctor_are_wholly_french_in_every_state(case: dict[str, Any]) -> None:
    status = judged(case)
    shown = status_text(status, VOICE)
    shown += doctor_text(list(answers_of(status)), everything=True, voice=VOICE)
    assert not re.search(r"\b(the|has|its|is|not|with|since|type|see)\b", without_what_is_typed(shown), re.IGNORECASE)


def without_what_is_typed(text: str) -> str:
    return re.sub("`[^`]+`|«[^»]+»|docs/runbooks/.*|/[^ ,]+", "", text)


@pytest.fixture
def made(tmp_path: Path) -> ProcessTerritory:
    return signed_territory(tmp_path / "made")


@pytest.mark.parametrize("verb", ["status", "doctor"])
def test_the_command_speaks_french_and_its_json_does_not(
    made: ProcessTerritory, capsys: pytest.CaptureFixture[str], verb: str
) -> None:
    state = made.nodes["commune-a"].layout.root
    assert main.run(["--language", "fr", "--state", str(state), verb]) == 4
    shown = capsys.readouterr().out
    assert f"Tapez `appliance --state {state} backup begin docs-a --out docs-a.request`." in shown
    assert f"Puis ici\u00a0: `appliance --state {state} backup accept docs-a docs-a.grant`." in shown
    assert not re.search(r"\b(the|its|is)\b", without_what_is_typed(shown))
    assert main.run(["--language", "fr", "--json", "--state", str(state), verb]) == 4
    assert "it is not backed up: it has no repository yet." in capsys.readouterr().out


def init_words(made: ProcessTerritory, folder: Path) -> list[str]:
    """The words that begin the node commune-z in `folder`."""
    key = str(made.territory_key.with_suffix(".pub"))
    return ["--state", str(folder / "node"), "node", "init", "commune-z", "--territory-key", key]


def test_a_finished_command_says_its_next_lines_in_french(made: ProcessTerritory, tmp_path: Path) -> None:
    words = init_words(made, tmp_path)
    shown = said(["--language", "fr", *words])
    assert f"{tmp_path / 'node'} est le nœud commune-z du territoire de clef SHA256:" in shown
    assert (
        f"Ensuite, recueillez ses clefs publiques\u00a0: appliance --state {tmp_path / 'node'} internal node" in shown
    )
    assert not re.search(r"\b(the|its|is|then|next)\b", shown, re.IGNORECASE)
    assert "Next: collect its public keys:" in said(words)


@pytest.mark.parametrize("more", [[], ["--dry-run"]])
def test_a_signature_is_told_in_french(made: ProcessTerritory, tmp_path: Path, more: list[str]) -> None:
    demo, out = LOCALE.parents[1] / "inventory/demo", tmp_path / "bundle"
    words = ["territory", "sign", str(demo), "--key", str(made.territory_key), "--out", str(out), *more]
    shown = said(["--language", "fr", *words])
    assert f"La configuration 1 de demo {'serait signée dans' if more else 'est signée\u00a0:'} {out}" in shown
    assert "Sans clefs, donc pas encore membres\u00a0: commune-a" in shown
    assert not re.search(r"\b(the|its|is|then|next)\b", shown, re.IGNORECASE)


def test_a_command_that_lacks_one_text_goes_on_in_english(
    made: ProcessTerritory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = "{path} is the node {name} of the territory with the key {path2}."
    lost = {english: said for english, said in OF_SENTENCES.items() if english != first}
    monkeypatch.setattr("appliance.cli.language.sentences.sentences_of", {FRENCH: Sentences(lost)}.__getitem__)
    words = init_words(made, tmp_path)
    assert said(["--language", "fr", *words]) == said(words)


@pytest.mark.parametrize(
    ("words", "french"),
    [
        (["status"], "/nowhere\u00a0: ce dossier n'existe pas. Vérifiez le chemin après --state, ou créez-y un nœud"),
        (["status", "--watch", "--not-worse-than", "x"], "--watch et --not-worse-than ne vont pas ensemble."),
        (["backup", "begin", "--out", "x"], "ce dossier n'existe pas."),
    ],
)
def test_an_error_is_said_in_french_with_its_remedy(words: list[str], french: str) -> None:
    assert french in said(["--language", "fr", "--state", "/nowhere", *words])


def test_an_error_that_has_no_french_is_wholly_english() -> None:
    assert said(["--language", "fr", "territory", "check", "/nowhere"]) == said(["territory", "check", "/nowhere"])


def said(words: list[str]) -> str:
    """Return what the command line `words` prints on both streams."""
    with redirect_stdout(StringIO()) as out, redirect_stderr(StringIO()) as error:
        main.run(words)
    return out.getvalue() + error.getvalue()


def test_a_status_that_lacks_one_text_is_wholly_english(
    made: ProcessTerritory, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = {english: said for english, said in OF_SENTENCES.items() if english != "has no repository yet"}
    monkeypatch.setattr("appliance.cli.language.sentences.sentences_of", {FRENCH: Sentences(lost)}.__getitem__)
    words = ["--state", str(made.nodes["commune-a"].layout.root), "status"]
    assert main.run(["--language", "fr", *words]) == 4
    french = capsys.readouterr().out
    assert main.run(words) == 4
    assert french == capsys.readouterr().out
