"""Every role and every verb: what a caller may say to a vault, before and after takeovers. Refusals are half of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from appliance.backup.vault import access
from appliance.backup.vault.session import VERBS
from appliance.errors import Forbidden, Refused
from appliance.trust.bundle import Bundle
from appliance.trust.former import Former, FormerReplicaNode
from appliance.trust.grant import Grant
from appliance.units import GIB
from tests.worlds.vaults import (
    HOLDER,
    MONITOR,
    NAMES,
    ORIGIN,
    OUTSIDER,
    SERVICE,
    SPARE,
    STANDBY,
    VaultWorld,
)

UNKNOWN = "nobody"
NOBODY_YET = ""
ORIGINS = {"head", "put", "get-own"}
ORIGIN_WRITES = {*ORIGINS, "prove", "still"}
HOLDERS = {"head", "get", "put-relayed"}

# (caller, writer of the newest grant) -> verbs. A node that may ever be granted the service may bring the grant along
# with "put"; only the writer itself gets past the fence behind it (test_vault_offers).
TABLE: dict[tuple[str, str], set[str]] = {
    (ORIGIN, NOBODY_YET): ORIGIN_WRITES,
    (ORIGIN, ORIGIN): ORIGIN_WRITES,
    (ORIGIN, STANDBY): ORIGINS,
    (ORIGIN, OUTSIDER): ORIGINS,
    (STANDBY, NOBODY_YET): {*HOLDERS, "put"},
    (STANDBY, ORIGIN): {*HOLDERS, "put"},
    (STANDBY, STANDBY): {*HOLDERS, *ORIGIN_WRITES},
    (STANDBY, OUTSIDER): {*HOLDERS, "put"},
    (HOLDER, NOBODY_YET): HOLDERS,
    (HOLDER, ORIGIN): HOLDERS,
    (HOLDER, STANDBY): HOLDERS,
    (HOLDER, OUTSIDER): HOLDERS,
    (SPARE, NOBODY_YET): HOLDERS,
    (SPARE, ORIGIN): HOLDERS,
    (SPARE, STANDBY): HOLDERS,
    (SPARE, OUTSIDER): HOLDERS,
    (OUTSIDER, NOBODY_YET): set(),
    (OUTSIDER, ORIGIN): set(),
    (OUTSIDER, STANDBY): set(),
    (OUTSIDER, OUTSIDER): {"head", "put", "prove", "get-own", "still"},
    (MONITOR, NOBODY_YET): {"head"},
    (MONITOR, ORIGIN): {"head"},
    (MONITOR, STANDBY): {"head"},
    (MONITOR, OUTSIDER): {"head"},
    (UNKNOWN, NOBODY_YET): set(),
    (UNKNOWN, ORIGIN): set(),
    (UNKNOWN, STANDBY): set(),
    (UNKNOWN, OUTSIDER): set(),
}


@pytest.fixture(scope="module")
def bundle(made_desk: VaultWorld) -> Bundle:
    return made_desk.open(HOLDER).bundle


@pytest.fixture(scope="module")
def grants(made_desk: VaultWorld) -> dict[str, Grant | None]:
    return {NOBODY_YET: None, **{writer: made_desk.grant(writer) for writer in (ORIGIN, STANDBY, OUTSIDER)}}


@pytest.mark.parametrize(("caller", "writer"), TABLE)
def test_a_caller_may_say_exactly_these_verbs(
    bundle: Bundle, grants: dict[str, Grant | None], caller: str, writer: str
) -> None:
    assert access.verbs(bundle, bundle.terms(SERVICE), caller, grants[writer]) == TABLE[caller, writer]


def test_the_table_knows_every_role_and_every_verb() -> None:
    assert {caller for caller, _ in TABLE} == {*NAMES, UNKNOWN}
    assert len(TABLE) == 7 * 4
    assert set().union(*TABLE.values()) == set(VERBS)


def test_no_verb_deletes_renames_or_overwrites() -> None:
    assert set(VERBS) == {"head", "put", "put-relayed", "prove", "get", "get-own", "still"}


@pytest.mark.parametrize("caller", [ORIGIN, STANDBY, HOLDER, OUTSIDER, MONITOR, UNKNOWN])
@pytest.mark.parametrize("verb", VERBS)
def test_what_is_not_allowed_is_denied_with_names(
    bundle: Bundle, grants: dict[str, Grant | None], caller: str, verb: str
) -> None:
    terms, grant = bundle.terms(SERVICE), grants[ORIGIN]
    if verb in TABLE[caller, ORIGIN]:
        access.check(bundle, terms, caller, grant, verb, here=HOLDER)
        return
    with pytest.raises(Forbidden, match=f'"{caller}" may not "{verb}" docs-a here'):
        access.check(bundle, terms, caller, grant, verb, here=HOLDER)


@pytest.mark.parametrize("room", [GIB, 0], ids=["former holder", "former spare"])
@pytest.mark.parametrize("verb", VERBS)
def test_who_held_a_copy_once_may_ask_and_bring_and_nothing_else(
    bundle: Bundle, grants: dict[str, Grant | None], room: int, verb: str
) -> None:
    """A spare that stood in for a holder, too: in no list any more, it kept its copy for ever."""
    once = FormerReplicaNode(SERVICE, MONITOR, room, 2, "2026-01-01T00:00:00Z")
    plain = replace(bundle.members[OUTSIDER].node, roles=())
    members = {**bundle.members, MONITOR: replace(bundle.members[MONITOR], node=plain)}
    later = replace(bundle, members=members, former=Former({}, (once,)))
    terms, grant = later.terms(SERVICE), grants[ORIGIN]
    if verb in ("head", "put-relayed"):
        access.check(later, terms, MONITOR, grant, verb, here=HOLDER)
    else:
        with pytest.raises(Forbidden, match=f'"{MONITOR}" may not "{verb}" docs-a here'):
            access.check(later, terms, MONITOR, grant, verb, here=HOLDER)
    assert access.verbs(later, later.terms("docs-d"), MONITOR, None) == set(), "of this service alone"


@pytest.mark.parametrize(("here", "takes"), [(name, name in (STANDBY, HOLDER, SPARE)) for name in NAMES])
def test_only_holders_and_spares_take_a_push(
    bundle: Bundle, grants: dict[str, Grant | None], here: str, takes: bool
) -> None:
    terms = bundle.terms(SERVICE)
    for caller, verb in ((ORIGIN, "put"), (STANDBY, "put-relayed")):
        if takes:
            access.check(bundle, terms, caller, grants[ORIGIN], verb, here=here)
            continue
        with pytest.raises(Refused, match=f"{here} is neither a replica node nor a spare of docs-a"):
            access.check(bundle, terms, caller, grants[ORIGIN], verb, here=here)
    access.check(bundle, terms, ORIGIN, grants[ORIGIN], "head", here=here)


def test_one_service_opens_no_other(bundle: Bundle, grants: dict[str, Grant | None]) -> None:
    assert access.verbs(bundle, bundle.terms("docs-d"), ORIGIN, None) == set()
    assert access.verbs(bundle, bundle.terms("docs-d"), STANDBY, None) == set()
    assert access.verbs(bundle, bundle.terms("docs-d"), OUTSIDER, None) == ORIGIN_WRITES
