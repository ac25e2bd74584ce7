"""A cluster that is filled gets the roles that it lacks; the present ones stay, and psql gets nothing else."""

from __future__ import annotations

import pytest

from appliance.backup.sources.model import PostgresServer
from appliance.backup.sources.postgresql import connection
from appliance.backup.sources.roles import roles_to_make
from appliance.errors import IntegrityError

ROLES = """\
--
-- PostgreSQL database cluster dump
--
\\restrict kqWqn0K0Yv

SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
CREATE ROLE postgres;
ALTER ROLE postgres WITH SUPERUSER PASSWORD 'SCRAM-SHA-256$old';
CREATE ROLE "mairie d'Attichy";
ALTER ROLE "mairie d'Attichy" WITH LOGIN;
ALTER ROLE "mairie d'Attichy" SET search_path TO 'public', 'a;b';
CREATE ROLE lecture;
COMMENT ON ROLE lecture IS 'ne fait que lire';
CREATE TABLESPACE disque OWNER postgres LOCATION '/mnt/disque';
GRANT CREATE ON TABLESPACE disque TO lecture;
GRANT lecture TO "mairie d'Attichy" GRANTED BY postgres;
GRANT lecture TO postgres;
\\unrestrict kqWqn0K0Yv
"""
OURS = "SET client_encoding = 'UTF8';\nSET standard_conforming_strings = on;\n"
# Of a setting of a role that is there already only the first line would go, and leave the second to psql.
LINES = "CREATE ROLE postgres;\nALTER ROLE postgres SET app.note TO '\n\\! touch /tmp/x\n';\nCREATE ROLE a;\n"


def made(statements: str, *existing: str) -> list[str]:
    script = roles_to_make(statements.encode(), frozenset(existing)).decode()
    assert script.startswith(OURS)
    return script.removeprefix(OURS).splitlines()


def test_statements_about_existing_roles_and_tablespaces_are_left_out() -> None:
    assert made(ROLES, "postgres", "lecture") == [
        'CREATE ROLE "mairie d\'Attichy" ;',
        'ALTER ROLE "mairie d\'Attichy" WITH LOGIN ;',
        "ALTER ROLE \"mairie d'Attichy\" SET search_path TO 'public' , 'a;b' ;",
        'GRANT lecture TO "mairie d\'Attichy" GRANTED BY postgres ;',
    ]


def test_every_role_is_made_on_an_empty_server() -> None:
    assert sum(line.startswith("CREATE ROLE") for line in made(ROLES)) == 3


@pytest.mark.parametrize(
    "hostile",
    [
        LINES,
        "\\! touch /tmp/x\n",
        "CREATE ROLE a; \\! touch /tmp/x\n",
        "CREATE ROLE a \\; \\! touch /tmp/x\n",
        "-- a comment\r\\! touch /tmp/x\n",
        "/* ' */ \\! touch /tmp/x /* ' */;\n",
        "COMMENT ON ROLE a IS 'a\\' \\! touch /tmp/x ';\n",
        "COMMENT ON ROLE a IS E'a\\' \\! touch /tmp/x ';\n",
        "COMMENT ON ROLE a IS $x$'$x$; \\! touch /tmp/x '\n",
        "\\restrict x \\! touch /tmp/x\n",
        "COPY t FROM PROGRAM 'touch /tmp/x';\n",
        "CREATE ROLE a",
        "COMMENT ON ROLE a IS 'never ended;\n",
        "CREATE ROLE;\n",
        "GRANT a;\n",
    ],
)
def test_what_pg_dumpall_does_not_write_never_reaches_psql(hostile: str) -> None:
    with pytest.raises(IntegrityError, match=r"roles.sql is not output of pg_dumpall, at line \d+"):
        roles_to_make(hostile.encode(), frozenset({"postgres"}))


@pytest.mark.parametrize(
    ("written", "becomes"),
    [
        ("COMMENT ON ROLE a IS  E'a\\\\!\n\\\\b''c';", "COMMENT ON ROLE a IS E'a\\\\!\n\\\\b''c' ;"),
        ('CREATE ROLE "a\\b";', 'CREATE ROLE "a\\b" ;'),
        ("ALTER ROLE a SET app.mode TO '-- x;\n/*';", "ALTER ROLE a SET app . mode TO '-- x;\n/*' ;"),
    ],
)
def test_what_is_quoted_stays_as_it_is(written: str, becomes: str) -> None:
    assert "\n".join(made(written)) == becomes


def test_roles_in_another_encoding_are_refused_because_its_quotes_may_lie_elsewhere() -> None:
    with pytest.raises(IntegrityError, match="is not UTF-8"):
        roles_to_make(b"COMMENT ON ROLE a IS '\x81';\n", frozenset())


def test_a_connection_string_quotes_its_values_and_leaves_the_empty_ones_to_libpq() -> None:
    assert connection(PostgresServer(), "état") == "dbname='état' connect_timeout='20'"
    server = PostgresServer(host="/run/a b", port=5433, user="l'agent")
    assert connection(server, "x") == "dbname='x' host='/run/a b' port='5433' user='l\\'agent' connect_timeout='20'"
