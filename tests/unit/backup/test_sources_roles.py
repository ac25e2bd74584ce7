"""A restore makes the roles that are missing and leaves the present ones alone."""

from __future__ import annotations

from appliance.backup.sources.model import PostgresServer
from appliance.backup.sources.postgresql import connection, roles_to_make

ROLES = """\
SET client_encoding = 'UTF8';
CREATE ROLE postgres;
ALTER ROLE postgres WITH SUPERUSER PASSWORD 'SCRAM-SHA-256$old';
CREATE ROLE "mairie d'Attichy";
ALTER ROLE "mairie d'Attichy" WITH LOGIN;
CREATE ROLE lecture;
COMMENT ON ROLE lecture IS 'ne fait que lire';
GRANT lecture TO "mairie d'Attichy" GRANTED BY postgres;
GRANT lecture TO postgres;
"""


def test_statements_about_existing_roles_are_left_out() -> None:
    assert roles_to_make(ROLES, frozenset({"postgres", "lecture"})).splitlines() == [
        "SET client_encoding = 'UTF8';",
        'CREATE ROLE "mairie d\'Attichy";',
        'ALTER ROLE "mairie d\'Attichy" WITH LOGIN;',
        'GRANT lecture TO "mairie d\'Attichy" GRANTED BY postgres;',
    ]


def test_every_role_is_made_on_an_empty_server() -> None:
    assert roles_to_make(ROLES, frozenset()) == ROLES


def test_a_connection_string_quotes_its_values_and_leaves_the_empty_ones_to_libpq() -> None:
    assert connection(PostgresServer(), "état") == "dbname='état' connect_timeout='20'"
    server = PostgresServer(host="/run/a b", port=5433, user="l'agent")
    assert connection(server, "x") == "dbname='x' host='/run/a b' port='5433' user='l\\'agent' connect_timeout='20'"
