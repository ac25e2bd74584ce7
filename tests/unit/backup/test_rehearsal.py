"""The rehearsal of a database: its counts and comparisons, when it is wanted, and its message when a node lacks
something."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import pytest

from appliance.backup.proofs.drill import WHOLE_SECONDS, wants_rehearsal
from appliance.backup.proofs.proofs import Drilled, Proofs
from appliance.backup.proofs.rehearsal import NAMED_MAX, Rehearsed, decode, differences, rehearse, rows_in
from appliance.backup.sources.postgresql import lacking
from appliance.units import DAY

DUMP = b"""\
--
-- Data for Name: acte; Type: TABLE DATA
--
COPY public.acte (id, nom) FROM stdin;
1\tCOPY public.fausse (id) FROM stdin;
2\t\\\\.
3\tZola
\\.
COPY "l'\xc3\xa9t\xc3\xa9"."a ""b"" (c)" (id, "FROM stdin;") FROM stdin;
1\tx
\\.
COPY public.vide (id) FROM stdin;
\\.
COPY public.sans_colonne  FROM stdin;
\\.
SELECT pg_catalog.setval('public.acte_id_seq', 3, true);
"""
ROWS = {("public", "acte"): 3, ("l'été", 'a "b" (c)'): 1, ("public", "vide"): 0}
DRILLED = Drilled("2026-11-25T02:00:00Z", 1000, "2.1", "a", 1, True, 1, 1, 1, 0.5, rehearsed=True)


@pytest.mark.parametrize("size", [1, 2, 7, 64, len(DUMP)])
def test_the_rows_of_each_table_are_counted_in_the_text_of_the_dump(size: int) -> None:
    pieces = [DUMP[at : at + size] for at in range(0, len(DUMP), size)]
    assert {table: rows for table, rows in rows_in(pieces).items() if table[1] != "sans_colonne"} == ROWS


def test_a_row_longer_than_memory_should_hold_is_one_row() -> None:
    pieces = [b"COPY public.a (x) FROM stdin;\n", *[b"x" * 65536] * 40, b"\n1\n\\.\n"]
    assert rows_in(pieces) == {("public", "a"): 2}


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (ROWS, []),
        ({**ROWS, ("public", "acte"): 4, ("public", "other"): 1}, []),
        ({**ROWS, ("public", "acte"): 2}, ["table public.acte has 2 rows, and the dump 3."]),
        ({it: rows for it, rows in ROWS.items() if it[1] != "vide"}, ["table public.vide was not restored."]),
    ],
    ids=["the same", "an extension's own rows", "a row less", "an empty table"],
)
def test_what_the_dump_has_and_the_cluster_has_not_is_a_sentence_each(
    found: dict[tuple[str, str], int], said: list[str]
) -> None:
    assert list(differences(ROWS, found)) == said


def test_of_very_many_tables_the_first_are_named() -> None:
    said = list(differences({("s", f"{number:04}"): 1 for number in range(NAMED_MAX + 5)}, {}))
    assert (len(said), said[-1]) == (NAMED_MAX + 1, "5 more tables lack rows.")


@pytest.mark.parametrize(
    ("said", "lacks", "remedy"),
    [
        (
            'ERROR:  extension "postgis" is not available\nDETAIL: x',
            "extension postgis",
            "apt-cache search postgresql postgis",
        ),
        ('ERROR:  could not create locale "fr_FR.utf8": No such file', "locale fr_FR.utf8", "locale-gen"),
        ('ERROR:  invalid LC_COLLATE locale name: "fr_FR.UTF-8"', "locale fr_FR.UTF-8", "locale-gen"),
        ('ERROR:  invalid locale name: "fr_FR.UTF-8"', "locale fr_FR.UTF-8", "locale-gen"),
        ('collation "pg_catalog.fr_FR.utf8" for encoding "UTF8" does not exist', "locale fr_FR.utf8", "locale-gen"),
    ],
)
def test_what_this_node_lacks_is_told_with_what_to_install(said: str, lacks: str, remedy: str) -> None:
    found = lacking(said)
    assert found is not None
    assert lacks in found[0]
    assert remedy in found[1]


@pytest.mark.parametrize(
    "said",
    ['relation "a" does not exist', 'extension "x; rm -rf /" is not available', 'could not create locale "$(reboot)"'],
)
def test_no_word_of_a_dump_becomes_a_command_to_type(said: str) -> None:
    assert lacking(said) is None


def test_a_node_without_the_server_says_that_it_proved_less(tmp_path: Path) -> None:
    done = rehearse(tmp_path, "x", tmp_path / "scratch", tmp_path / "programs")
    assert (done.done, done.wrong) == (False, ())
    (told,) = done.told
    assert told.startswith("the database was not loaded into a PostgreSQL: its server is not installed on this node")
    assert "apt-get install postgresql" in told


@pytest.mark.parametrize(
    ("last", "wanted"),
    [
        (None, True),
        (replace(DRILLED, age=100 * DAY - WHOLE_SECONDS + 1), False),
        (replace(DRILLED, age=100 * DAY - WHOLE_SECONDS), True),
        (replace(DRILLED, age=101 * DAY), True),
        (replace(DRILLED, age=99 * DAY, wrong=("x",)), True),
        (replace(DRILLED, age=99 * DAY, told=("x",)), False),
    ],
    ids=["never", "lately", "four weeks ago", "a lost age", "it failed", "something else was not proven"],
)
def test_a_database_is_loaded_every_four_weeks_and_again_until_that_goes_well(
    last: Drilled | None, wanted: bool
) -> None:
    assert wants_rehearsal(Proofs(rehearsed=last), 100 * DAY) is wanted


def test_a_drill_that_loads_nothing_leaves_the_last_one_that_did() -> None:
    proofs = Proofs().with_drill(DRILLED).with_drill(replace(DRILLED, rehearsed=False, age=5000))
    assert (proofs.rehearsed, proofs.whole and proofs.whole.age) == (DRILLED, 5000)


def test_what_a_unit_tells_comes_back_as_it_was() -> None:
    done = Rehearsed(True, 2, 3, 0.5, ("a",), ("b",))
    assert decode(asdict(done)) == done
