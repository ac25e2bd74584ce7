"""The reasons that keep a node from leaving: copies of services in the plan, and the last one of a service that left
it."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from appliance.membership.leave import Holds, missing
from appliance.trust.bundle import Bundle, make_bundle, read_bundle
from appliance.trust.former import Former, FormerService
from appliance.trust.keys import public_line
from tests.worlds.small import node, service, territory

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
LEFT = FormerService(service("old", "a"), ("b", "c"), (), 3, "2026-11-24T08:00:00Z")


def bundle(*left: FormerService) -> Bundle:
    plan = territory([node(name) for name in ("a", "b", "c")])
    raw = make_bundle(
        KEY,
        serial=3,
        issued=LEFT.since,
        territory=plan,
        placements={},
        members={},
        recovery="",
        former=Former({it.name: it for it in left}),
    )
    return read_bundle(raw, public_line(KEY))


def why(of: Bundle, **elsewhere: Holds) -> list[str]:
    holdings = {"b": {"old": Holds(["1"])}, **{name: {"old": it} for name, it in elsewhere.items()}}
    return [it.why for it in missing(of, "b", holdings, {})]


def test_the_last_copy_of_a_service_that_left_keeps_its_node_until_that_is_decided() -> None:
    assert why(bundle(LEFT), c=Holds([], ["1"])) == [
        "it left the territory in bundle 3 and no other node holds it: put it back into territory.yml, or sign with "
        "--forget old if it may be deleted."
    ]
    assert why(bundle(LEFT), c=Holds(["1"])) == []
    assert why(bundle()) == [], "it was forgotten"


def copies(*elsewhere: Holds) -> list[str]:
    """Why `b` must stay, where `elsewhere` is held of a service of which it has the generations 1 and 2."""
    plan = territory([node(name) for name in ("a", "b", "c", "d")], [service("docs", "a")])
    raw = make_bundle(KEY, serial=3, issued=LEFT.since, territory=plan, placements={}, members={}, recovery="")
    of = read_bundle(raw, public_line(KEY))
    others = {name: {"docs": it} for name, it in zip("cd", elsewhere, strict=True)}
    holdings = {"b": {"docs": Holds(["1", "2"])}, **others}
    return [it.why for it in missing(of, "b", holdings, {"docs": "a"})]


def test_older_generations_too_must_be_safe_without_it() -> None:
    """The other copy of them could be on the box that is stolen next."""
    whole = Holds(["1", "2"])
    assert copies(whole, whole) == []
    assert copies(whole, Holds(["2"])) == ["1 of its generations are safe at fewer than 2 other nodes."]
    assert copies(whole, Holds(["2"], ["1"])) == [], "its own rules let it go"
