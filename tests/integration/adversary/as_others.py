"""Attacks by root at a standby, at a voter and at a node without any part in the service."""

from __future__ import annotations

from appliance.backup.chain.chain import chain_of
from appliance.backup.vault.replicas import replica_of
from appliance.backup.vault.session import VERBS
from appliance.backup.writer import writer
from appliance.backup.writer.begin import check_grant
from appliance.trust.grant import make_grant, make_request, read_grant, read_request
from appliance.trust.keys import load_key, public_line
from tests.integration.adversary.as_holder import altering, hands_on
from tests.integration.adversary.attacks import attack
from tests.integration.adversary.scene import (
    HOLDER,
    ORIGIN,
    OUTSIDER,
    SERVICE,
    SPARE,
    STANDBY,
    Role,
    Scene,
)
from tests.unit.failover.brokers import LIES as OF_BROKERS
from tests.unit.failover.brokers import Lying, honest, rounds
from tests.worlds.vaults import MONITOR, ask, push

VOTERS = "docs/decisions/0035-voters-sign-epochs-in-terms.md"
GRANTS = "docs/decisions/0009-grants-as-files-in-two-steps.md"


@attack(Role.STANDBY, GRANTS, "there is no grant of epoch")
def seals_an_epoch_that_nobody_granted(scene: Scene) -> None:
    made = scene.forge({"config": b"mine"}, signer=scene.node(STANDBY), epoch=scene.epoch + 2, sequence=1)
    with scene.session(HOLDER, STANDBY) as channel:
        push(channel, made)


@attack(Role.STANDBY, GRANTS)
def signs_with_its_own_key_what_the_writer_should(scene: Scene) -> None:
    made = scene.forge({"config": b"mine"}, signer=scene.node(STANDBY))
    with scene.session(HOLDER, STANDBY) as channel:
        push(channel, made)


@attack(Role.STANDBY, GRANTS, "signed by a key that may not sign it")
def grants_itself_the_next_epoch(scene: Scene) -> None:
    node = scene.node(STANDBY)
    key = load_key(node.signing_key)
    repository = scene.present_grant().repository
    asked = make_request(
        key, service=SERVICE, repository=repository, writer=STANDBY, known_epoch=scene.epoch, reason="mine"
    )
    raw = make_grant(key, read_request(asked, public_line(key)))
    grant = read_grant(raw, public_line(key))
    made = scene.forge({"config": b"x"}, signer=node, epoch=grant.epoch, sequence=1)
    with scene.session(HOLDER, STANDBY) as channel:
        push(channel, made, [grant])


@attack(Role.STANDBY, GRANTS)
def writes_without_having_been_granted_anything(scene: Scene) -> None:
    """It has the key and a copy; its own program is asked to go on under the origin's grant."""
    if scene.writer == STANDBY:
        return
    with scene.refused():
        writer.run(scene.node(STANDBY), SERVICE)


@attack(Role.STANDBY, "docs/reference/formats.md", "receipt")
def hands_on_what_it_says_that_the_origin_signed_for(scene: Scene) -> None:
    if held := scene.held(STANDBY):
        hands_on(scene, held[-1], HOLDER, STANDBY, receipt="-----BEGIN SSH SIGNATURE-----")


@attack(Role.STANDBY, "SECURITY.md")
def shows_that_it_holds_nothing(scene: Scene) -> None:
    scene.lie("head", altering(lambda it: {**it, "held": [], "newest": None, "receipt": None, "tips": []}), STANDBY)


@attack(Role.STANDBY, "SECURITY.md")
def shows_a_foreign_grant_as_the_newest(scene: Scene) -> None:
    grant = scene.foreign_grant().document.raw.decode()
    scene.lie("head", altering(lambda it: {**it, "grants": [*it["grants"], grant]}), STANDBY)


@attack(Role.STANDBY, "SECURITY.md")
def removes_its_own_vault_and_copies(scene: Scene) -> None:
    for blob in list(replica_of(scene.node(STANDBY), SERVICE).blobs()):
        blob.unlink()


# Voters


def _alone(scene: Scene, *signers: str, writer_: str = STANDBY) -> bytes:
    repository = scene.present_grant().repository
    return scene.desk.voted(signers, writer_, scene.epoch, repository=repository).document.raw


@attack(Role.VOTER, VOTERS, "are needed")
def grants_alone(scene: Scene) -> None:
    raw = _alone(scene, SPARE)
    made = scene.forge({"config": b"x"}, signer=scene.node(STANDBY), epoch=scene.epoch + 1, sequence=1)
    with scene.session(HOLDER, STANDBY) as channel:
        push(channel, made, details={"grants": [raw.decode()]})
    for name in (ORIGIN, STANDBY):
        with scene.refused():
            check_grant(scene.node(name), SERVICE, raw)


@attack(Role.VOTER, VOTERS, "signed twice by one key")
def signs_twice(scene: Scene) -> None:
    end = b"-----END SSH SIGNATURE-----\n"
    raw = _alone(scene, SPARE)
    first, *_ = raw.split(end)
    line, _, signature = first.partition(b"\n")
    with scene.refused():
        check_grant(scene.node(STANDBY), SERVICE, line + b"\n" + (signature + end) * 2)


@attack(Role.VOTER, VOTERS, "does not belong to a voter")
def signs_with_a_node_that_does_not_vote(scene: Scene) -> None:
    with scene.refused():
        check_grant(scene.node(STANDBY), SERVICE, _alone(scene, SPARE, OUTSIDER))


@attack(Role.VOTER, VOTERS)
def leads_who_asks_to_later_and_later_epochs(scene: Scene) -> None:
    """One of five brokers lies of what it promised: the other four still grant, and near the present epoch."""
    liar, said = scene.draw.choice(tuple(honest())), scene.draw.choice(tuple(OF_BROKERS.values()))
    _, epoch = rounds(honest(commune_a=4) | {liar: Lying(said)})
    assert epoch == 3


# Who has no part in it


def _asks_everything(scene: Scene, caller: str, at: str) -> None:
    for verb in VERBS:
        with scene.session(at, caller) as channel:
            ask(channel, verb, generation=None, grants=[], headers=[], list_bytes=0, challenge="ab" * 32, blobs=[])
            channel.read_frame()


@attack(Role.OUTSIDER, "docs/decisions/0021-accounts-of-a-vault.md", "may not")
def asks_every_vault_for_everything(scene: Scene) -> None:
    for at in (ORIGIN, STANDBY, HOLDER, SPARE):
        _asks_everything(scene, OUTSIDER, at)
        _asks_everything(scene, MONITOR, at)


@attack(Role.OUTSIDER, GRANTS)
def brings_a_true_grant_of_its_own_service(scene: Scene) -> None:
    grant = scene.foreign_grant(known_epoch=scene.epoch)
    made = scene.desk.seal(grant, {"config": b"x"}, service=SERVICE)
    with scene.session(HOLDER, OUTSIDER) as channel:
        push(channel, made, [grant])
    with scene.refused():
        check_grant(scene.node(ORIGIN), SERVICE, grant.document.raw)
    assert max(chain_of(scene.node(ORIGIN), SERVICE).grants()) <= max(scene.granted)
