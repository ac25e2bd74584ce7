"""The grants of years: each takeover and each return was asked for and granted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from appliance.node.handle import Node
from appliance.trust.generation import Entry
from appliance.trust.grant import Grant, make_request
from appliance.trust.keys import load_key
from appliance_lab.bench.years.eras import Era
from appliance_lab.bench.years.past import Epoch, epoch_of
from appliance_lab.processes.territory import ProcessTerritory


@dataclass(frozen=True)
class Granting:
    """The key holder of `territory`, asked about `service`; `known`: grants by their epoch that were given before."""

    territory: ProcessTerritory
    node: Callable[[str], Node]
    service: str
    repository: str
    files: Iterable[Entry]
    known: Mapping[int, Grant] = field(default_factory=dict)

    def epochs(self, eras: Iterable[Era]) -> list[Epoch]:
        before, found = 0, list[Epoch]()
        for era in eras:
            grant = self.known.get(era.epoch) or self._grant(era, before)
            found.append(epoch_of(era, grant, self.node(era.writer).signing_key, self.files))
            before = era.epoch
        return found

    def _grant(self, era: Era, before: int) -> Grant:
        """The answer to the writer of `era`, which knows of epoch `before`."""
        node = self.node(era.writer)
        asked = make_request(
            load_key(node.signing_key),
            service=self.service,
            repository=self.repository,
            writer=era.writer,
            known_epoch=before,
            reason="a takeover",
        )
        return node.bundle.granters.read(self.territory.grant(asked, era.writer))
