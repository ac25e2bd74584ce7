"""Ask, in a run, whether nothing changed, and have all nodes that must hold the service sign for that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from appliance.backup.chain.chain import Chain, Sealed
from appliance.backup.peers.conversation import Head, Lines
from appliance.backup.peers.last_seen import current_targets
from appliance.backup.sources.model import Prepared
from appliance.backup.still.decide import Full, Own, Peer, SayStill, decide
from appliance.backup.still.look import Look
from appliance.backup.still.note import Note, load
from appliance.backup.still.send import say_still
from appliance.backup.writer import saved
from appliance.backup.writer.manifest import Manifest
from appliance.backup.writer.source_sizes import load_shrunken
from appliance.borg.model import Created
from appliance.clock import utc_seconds, utc_text
from appliance.node.handle import Node
from appliance.trust.grant import Grant


@dataclass(frozen=True)
class Still:
    """All that must hold the service signed that at `time` its `source` was what the newest generation holds: `sealed`,
    which `note` is about."""

    sealed: Sealed
    note: Note
    time: str
    source: Prepared

    @property
    def created(self) -> Created:
        """As if borg had made it again."""
        note = self.note
        return Created(note.archive, "", note.files, note.bytes, 0, 0, (), utc_seconds(self.time))

    @property
    def manifest(self) -> Manifest:
        return Manifest(tuple(part.manifest for part in self.source.parts))


@dataclass(frozen=True)
class Asked:
    """A run of the service of `grant` that may be still; `heads` are what the peers answered in it."""

    node: Node
    chain: Chain
    grant: Grant
    heads: Sequence[Head]
    lines: Lines

    def whether(self, seen: Look, source: Prepared) -> Still | None:
        """None where the run has to save everything; the journal says why."""
        service, newest = self.grant.service, self.chain.newest()
        layout = self.node.service(service)
        targets = tuple(aim.node for aim in current_targets(self.node, service))
        answer: SayStill | Full | Still
        answer = decide(load(layout), seen, self._own(newest), targets, self._peers(newest))
        if isinstance(answer, SayStill) and newest:
            time = utc_text(seen.wall)
            why = say_still(self.node, answer.header, time, targets, self.lines)
            answer = Full(why) if why else Still(newest, answer.note, time, source)
        if isinstance(answer, Full):
            self.node.journal.note("not-still", service=service, reason=answer.reason)
        return answer if isinstance(answer, Still) else None

    def _own(self, newest: Sealed | None) -> Own:
        service = self.grant.service
        layout = self.node.service(service)
        known = saved.known(layout, newest.header) if newest else None
        shrunken = str(load_shrunken(self.node, service) or "")
        return Own(known, self.grant.epoch, known is None or known.whole, saved.load(layout).saving, shrunken)

    def _peers(self, newest: Sealed | None) -> dict[str, Peer]:
        receipts = self.chain.receipts(newest.header.id, self.node.bundle.signing_keys) if newest else ()
        signed = {it.holder for it in receipts}
        return {
            it.peer: Peer(it.reads_still > 0, it.newest.id.digest if it.newest else "", it.peer in signed)
            for it in self.heads
        }
