"""The steps of the demo. Each looks for its promise to be broken and returns one plain sentence with what it saw."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping, Sequence
from typing import Any

from appliance.backup.peers.fetch import read_held, short_name
from appliance.backup.vault.replicas import replica_of
from appliance.errors import ApplianceError
from appliance.escrow.envelopes import open_envelope
from appliance.host.files import locked
from appliance.node.handle import open_node
from appliance.secret import Secret
from appliance.units import MIB, format_bytes, format_count
from appliance_lab.checkers.tree_record import Difference, take
from appliance_lab.corpus import canaries, change
from appliance_lab.counters import prove_counters
from appliance_lab.demo.attacker import attack, steal
from appliance_lab.demo.comparable import changed_since, differences, without_changed
from appliance_lab.demo.context import (
    BLIND,
    CHANGED,
    COMMAND_SECONDS_MAX,
    OPERATOR,
    ORIGIN,
    SERVICE,
    SPARE,
    STANDBY,
    DemoContext,
    found_territory,
    told,
    told_left_out,
    told_times,
)
from appliance_lab.demo.search import Needles, files_with, needles_of, prove_search, seen_in
from appliance_lab.demo.wanted import a_file
from appliance_lab.demo.whole import held_names, prove_whole
from appliance_lab.story import Unknown, require, waiting

CORPUS_SEED = 1
CHANGE_RATIO = 0.01
NEW_RATIO_MAX, NEW_BYTES_MIN = 0.2, MIB
"""The part of all data that a push of a small change may send; for a few documents that is not even the headers."""
BORG_SECONDS_MAX = 120.0
OWNERS = "owners and devices, which only root can restore, are not compared in this step"


def found(context: DemoContext) -> str:
    """Four nodes, their keys, the territory key, the bundle, the recovery sheet; agents and listeners."""
    found_territory(context)
    if not context.generated:
        own = needles_of(context.data)
        peers = (context.node(peer).state for peer in (BLIND, SPARE))
        context.seen_before = frozenset().union(*(seen_in(own, state) for state in peers))
    for node in context.territory.nodes.values():
        node.start_agent()
    return (
        f"{len(context.territory.nodes)} nodes with keys of their own; bundle {context.territory.serial} signed by the "
        "territory key; the recovery key is on paper and was typed back"
    )


def first_backup(context: DemoContext) -> str:
    """A's agent makes the first backup by itself; it counts once both peers have signed for it."""
    state = _wait_until_safe(context)
    require(
        set(state["safety"]["counted"]) == {STANDBY, BLIND},
        f"the copies are at {state['safety']['counted']}, not at {STANDBY} and {BLIND}.",
    )
    require(not held_names(open_node(context.node(SPARE).state), SERVICE), f"{SPARE} holds something already.")
    return (
        f"generation {state['generation']}, {format_bytes(state['generation_bytes'])}, safe at {STANDBY} and {BLIND}, "
        f"in distinct failure domains; {SPARE} is the spare and holds nothing"
    )


def _wait_until_safe(context: DemoContext) -> Mapping[str, Any]:
    with waiting("the first safe backup", context.patience(120)) as done:
        while True:
            shown = context.json(ORIGIN, "backup", "show", SERVICE)
            if done(bool(shown.get("generation")) and _is_safe(context, shown["safety"])):
                return shown


def _is_safe(context: DemoContext, safety: Mapping[str, Any]) -> bool:
    """Whether it is safe. Some of one's own documents may be closed to this account: such a backup is partial, and as
    safe as it can be."""
    return bool(safety["safe"] if context.generated else safety["held"])


def second_backup(context: DemoContext) -> str:
    """A day's work, then another backup: only what is new travels."""
    if context.generated:
        change(context.data, CHANGE_RATIO)
    else:
        context.saved_ns = time.time_ns()
    context.taken = take(context.data, as_root=False)
    run = context.json(ORIGIN, "backup", "run", SERVICE)
    require(_is_safe(context, run["safety"]), f"the second backup is not safe: {run['peers']}")
    sent = max(peer["bytes_sent"] for peer in run["peers"])
    if context.generated:
        require(sent < _small(run), f"{format_bytes(sent)} were sent: more than what is new.")
    names = [os.path.relpath(item["path"], context.data) for item in run["left_out"]]
    silent = [path for path in context.left_out if path not in names and os.path.lexists(context.data / path)]
    require(not silent, f"the backup left out {', '.join(silent)} and does not say so.")
    _note_changes(context)
    return (
        f"generation {run['generation']} safe at {' and '.join(run['safety']['counted'])}; {format_bytes(sent)} sent "
        f"to each for {format_count(run['files'], 'file')} of {format_bytes(run['original_bytes'])}"
        f"{told_left_out(names)}{told(context.changed, CHANGED)}{told_times(context.record)}"
    )


def _note_changes(context: DemoContext) -> None:
    """Pass over what somebody changed of the documents since they were recorded: each backup since then has it."""
    if not context.generated:
        context.changed |= changed_since(context.data, context.saved_ns, context.record)
        context.taken = without_changed(context.record, context.changed)


def partial_backup(context: DemoContext) -> str:
    """A file that cannot be read makes a partial backup: all say so, and a restore takes it from the backup before."""
    if not context.generated:
        return "not played: one's own documents are only read"
    missed = a_file(context)
    path, wanted, archived = missed.path, missed.name, missed.archived
    mode = path.stat().st_mode
    path.chmod(0)
    try:
        if os.access(path, os.R_OK):
            raise Unknown("this account reads files that are closed to it.")
        run = context.json(ORIGIN, "backup", "run", SERVICE)
    finally:
        path.chmod(mode)
    require(run["safety"]["held"] and not run["safety"]["safe"], f"a backup without {wanted} is called safe.")
    said = {name: _partial_reason(context, name) for name in (STANDBY, BLIND)}
    require(all(said.values()), f"not all holders say that the backup is partial: {said}.")
    to = context.work / "territory" / "filled"
    words = ("restore", "folder", os.path.dirname(archived), "--service", SERVICE, "--to", str(to))
    done = context.json(STANDBY, *words)
    require([it["path"] for it in done["filled"]] == [archived], f"the restore filled {done['filled']}.")
    back = take((to / archived).parent, as_root=False).entries.get(os.path.basename(wanted))
    require(back == missed.entry, f"{wanted} did not come back as it was.")
    whole = context.json(ORIGIN, "backup", "run", SERVICE)
    require(bool(whole["safety"]["safe"]), f"the backup is not safe although all can be read again: {whole['peers']}")
    return (
        f"one file could not be read, {wanted}: generation {run['generation']} without it is held, called partial at "
        f"{STANDBY} and at {BLIND}, which can read nothing of it, and safe nowhere; its folder, restored, has "
        f"that file from the backup before, {done['filled'][0]['archive']}, which the restore says, and is identical; "
        f"once all can be read again, {whole['generation']} is whole and safe"
    )


def _partial_reason(context: DemoContext, name: str) -> str:
    """The sentence of `status` at a replica node about it."""
    result = context.node(name).cli("--json", "status", check=False)
    held = [it for it in json.loads(result.stdout)["judged"] if (it["subject"], it["role"]) == (SERVICE, "held")]
    sentences = [reason["sentence"] for it in held for reason in it["reasons"]]
    return next((it for it in sentences if it.startswith("partial: ")), "")


def peers_are_blind(context: DemoContext) -> str:
    """I1: no plaintext, no file name, no usable key at the blind peers; the same search finds them at the origin."""
    origin = context.node(ORIGIN)
    key = origin.layout.service(SERVICE).key
    secrets = [
        (key / "passphrase").read_bytes(),
        (key / "keyfile").read_bytes().split(b"\n", 1)[1],
        (origin.layout.keys / "age").read_bytes().splitlines()[-1],
        # The first lines of OpenSSH's format are the same in every key, or public.
        b"\n".join((origin.layout.keys / "sign_ed25519").read_bytes().splitlines()[-3:-1]),
    ]
    needles = context.needles = _proven_needles(context, secrets)
    for peer in (BLIND, SPARE):
        _prove_blind(context, peer)
    return (
        f"{format_count(len(needles.contents), 'piece')} of content, {format_count(len(needles.names), 'name')} and "
        f"{format_count(len(secrets), 'secret')} are found, each of them, at commune A and nowhere at {BLIND} or "
        f"{SPARE}; nor is the recovery key, which is on paper only and was found in a file made for this; no envelope "
        "there opens with what they have"
    )


def _proven_needles(context: DemoContext, secrets: Sequence[bytes]) -> Needles:
    """Everything that peers must not have; the search for it finds each of them at commune A."""
    state, paper = context.node(ORIGIN).state, context.paper.typed().reveal()
    if context.canary is None:
        needles = needles_of(context.data, secrets, paper, canaries(CORPUS_SEED))
        prove_search(needles, context.data, state)
        return needles
    needles = needles_of(context.canary.parent, secrets, paper)
    prove_search(needles, context.canary.parent, state)
    own = needles_of(context.data).without(context.seen_before).not_of(SERVICE)
    if own.contents or own.names:
        prove_search(own, context.data, state)
    return needles.with_(own)


def _prove_blind(context: DemoContext, peer: str) -> None:
    hits = files_with(context.needles.all, context.node(peer).state) if context.needles else ("nothing was looked for",)
    require(not hits, f"{peer} can see something of A's: {', '.join(hits[:3])}")
    _prove_no_key_opens(context, peer)


def _prove_no_key_opens(context: DemoContext, peer: str) -> None:
    node = open_node(context.node(peer).state)
    identity = Secret((node.layout.keys / "age").read_bytes())
    for name in held_names(node, SERVICE):
        for entry in read_held(node, SERVICE, name).entries:
            if entry.path.startswith("envelopes/"):
                try:
                    open_envelope(replica_of(node, SERVICE).blob(entry.sha256).read_bytes(), identity)
                except ApplianceError:
                    continue
                require(False, f"{peer} opens {entry.path}.")


def attacker_with_all_keys(context: DemoContext) -> str:
    """Every generation sealed before is whole afterwards; then the town goes on from the last good one."""
    peers = (STANDBY, BLIND)
    prove_counters(open_node(node.state) for node in context.territory.nodes.values())
    before = {peer: held_names(open_node(context.node(peer).state), SERVICE) for peer in peers}
    origin = open_node(context.node(ORIGIN).state)
    # A repository copied in the middle of a run would have that run's locks, and half of what it writes.
    with locked(origin.service(SERVICE).lock, what=f"the service {SERVICE}", wait=True):
        stolen = steal(origin.layout.root, context.work / "territory" / "stolen")
    tried = attack(stolen, SERVICE, peers, context.patience(BORG_SECONDS_MAX))
    hashed = 0
    for peer in peers:
        hashed += prove_whole(open_node(context.node(peer).state), SERVICE, before[peer])
    good = context.json(ORIGIN, "backup", "show", SERVICE)["generation"]
    sentence = context.refused(ORIGIN, "backup", "run", SERVICE, exit_code=8)
    _continue_from(context, ORIGIN, str(good))
    continued = context.json(ORIGIN, "backup", "run", SERVICE)["generation"]
    _note_changes(context)
    return (
        f"{'; '.join(tried)}; all {sum(map(len, before.values()))} generations sealed before are whole "
        f"({format_bytes(hashed)} hashed); commune A noticed ({_first_sentence(sentence)}) "
        f"and continues from {good} as {continued}"
    )


def _first_sentence(text: str) -> str:
    """The finding, without the command to type about it, for the middle of a sentence."""
    return text.split(". ")[0].rstrip(".")


def _continue_from(context: DemoContext, name: str, generation: str = "", paper: bytes | None = None) -> str:
    """A node and the key holder do this together: fetch, request, sign, adopt; return the name of what was fetched."""
    request, grant = context.territory.offline / "request", context.territory.offline / "grant"
    wanted = ("--generation", generation) if generation else ()
    fetched = context.json(name, "backup", "resync", SERVICE, "--request", str(request), "--reason", "demo", *wanted)
    grant.write_bytes(context.territory.grant(request.read_bytes(), name))
    with_paper = ("--recovery-sheet",) if paper else ()
    context.json(name, "backup", "resync", SERVICE, "--grant", str(grant), *with_paper, stdin=paper)
    return str(fetched["generation"])


def origin_lost(context: DemoContext) -> str:
    """The machine of A burns. One file is found by a part of its name and comes back through the standby."""
    context.node(ORIGIN).wipe()
    wanted = a_file(context)
    hits = context.json(STANDBY, "restore", "find", wanted.term, "--service", SERVICE)["found"]
    found = wanted.archived in [hit["path"] for hit in hits]
    require(found, f'searching "{wanted.term}" at {STANDBY} does not find {wanted.name}.')
    to = context.work / "territory" / "one-file"
    context.json(STANDBY, "restore", "file", wanted.archived, "--service", SERVICE, "--to", str(to))
    back = take((to / wanted.archived).parent, as_root=False).entries.get(wanted.path.name)
    require(back is not None, f"{wanted.name} is not where it was restored to.")
    require(back == wanted.entry, f"{wanted.name} came back different.")
    return (
        f'"{wanted.term}" finds {format_count(len(hits), "path")}; {wanted.name} is back from {STANDBY} and identical'
    )


def standby_lost(context: DemoContext) -> str:
    """No keyholder lives; the blind peer hands its copies to the blind spare, and only after a signed act."""
    spare = open_node(context.node(SPARE).state)
    pieces = [path for path in replica_of(spare, SERVICE).root.rglob("*") if path.is_file()]
    require(not pieces, f"{SPARE} holds something already: {', '.join(map(str, pieces[:3]))}.")
    context.node(STANDBY).wipe()
    refusal = context.refused(BLIND, "vault", "replicate", SERVICE, "--to", SPARE, exit_code=8)
    act = context.territory.offline / "lost"
    words = (
        "act",
        "sign",
        "lost",
        STANDBY,
        "--reason",
        "demo",
        "--operator",
        OPERATOR,
        "--key",
        str(context.operator_key),
    )
    context.node(BLIND).cli(*words, "--out", str(act))
    context.node(BLIND).cli("act", "accept", str(act))
    wanted = held_names(open_node(context.node(BLIND).state), SERVICE)
    with waiting(f"every generation at {SPARE}", context.patience(90)) as done:
        while not done(held_names(spare, SERVICE) == wanted):
            limit = context.patience(COMMAND_SECONDS_MAX)
            context.node(BLIND).cli("vault", "replicate", SERVICE, "--to", SPARE, timeout_seconds=limit, check=False)
    hashed = prove_whole(spare, SERVICE, wanted)
    _prove_blind(context, SPARE)
    return (
        f"before an operator signed that a holder is lost: {refusal.rstrip('.')}; after it {SPARE} holds all "
        f"{format_count(len(wanted), 'generation')} of {BLIND} ({format_bytes(hashed)} hashed), and still "
        "can read none of them"
    )


def replacement(context: DemoContext) -> str:
    """A new machine for A, one blind peer, the paper and the territory key: everything is back, and it goes on."""
    context.node(BLIND).stop()
    context.territory.add_node(ORIGIN)
    context.territory.sign(to=(ORIGIN, SPARE))
    context.node(ORIGIN).start_sshd()
    context.node(ORIGIN).cli("act", "accept", str(context.territory.offline / "lost"))
    paper = context.paper.typed().reveal()
    fetched = _continue_from(context, ORIGIN, paper=paper)
    different, count = _restore_everything(context)
    require(
        not different,
        f"{format_count(len(different), 'difference')}, the first: {different[0] if different else ''}",
    )
    run = context.json(ORIGIN, "backup", "run", SERVICE)
    sent = max(peer["bytes_sent"] for peer in run["peers"])
    same = _repository_id(context) in _held_config(context, fetched)
    require(same, "it writes another repository than the one that came back.")
    require(sent < _small(run), f"{format_bytes(sent)} were sent though nothing is new.")
    require(run["safety"]["counted"] == [SPARE], f"copies are counted at {run['safety']['counted']}, not at {SPARE}.")
    return (
        f"generation {fetched} came from {SPARE} and opened with the paper; "
        f"{format_count(count, 'entry is', 'entries are')} identical in bytes, modes, times, links, xattrs "
        f"and ACLs; {OWNERS}{context.exceptions}; it continues the same repository as "
        f"{run['generation']}, sends only {format_bytes(sent)} for it, and tells the truth: "
        f"{len(run['safety']['counted'])} of {run['safety']['promised']} copies"
    )


def _small(run: Mapping[str, Any]) -> float:
    return max(NEW_BYTES_MIN, NEW_RATIO_MAX * int(run["original_bytes"]))


def _repository_id(context: DemoContext) -> str:
    """The line of borg's config that tells the repository which A writes from all others."""
    config = open_node(context.node(ORIGIN).state).service(SERVICE).repository / "config"
    return next(line for line in config.read_text().splitlines() if line.startswith("id = "))


def _held_config(context: DemoContext, generation: str) -> str:
    """The config in `generation`, as the last peer held it before A came back."""
    spare = open_node(context.node(SPARE).state)
    [name] = [it for it in held_names(spare, SERVICE) if short_name(it) == generation]
    [entry] = [it for it in read_held(spare, SERVICE, name).entries if it.path == "config"]
    return replica_of(spare, SERVICE).blob(entry.sha256).read_text()


def _restore_everything(context: DemoContext) -> tuple[tuple[Difference, ...], int]:
    to = context.work / "territory" / "everything"
    context.json(ORIGIN, "restore", "all", "--service", SERVICE, "--to", str(to))
    restored = to / str(context.data).lstrip("/")
    found = differences(context.record, take(restored, as_root=False), context.changed)
    devices = {path for path, entry in context.record.entries.items() if entry.kind in ("char", "block")}
    compared = context.record.entries.keys() - devices - {*context.left_out}
    if context.canary:
        back = to / str(context.canary).lstrip("/")
        require(back.read_bytes() == context.canary.read_bytes(), "the canary file came back different.")
    return tuple(item for item in found if item.path not in devices), len(compared)
