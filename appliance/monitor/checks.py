"""The checks, each with the question it answers and the page that says what to do.

A check is made of one thing that is judged (its `role`): a service written here, one held for others, one that this
node may serve (`failover`), a catalogue, the node itself. Its answer is the worst reason that bears its name; none
means ok. `alert` is what Prometheus calls it, and the page of that name in `docs/runbooks/` says what to do, whoever
asked: an alert, `appliance status` or `appliance doctor`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache


@dataclass(frozen=True)
class Check:
    roles: tuple[str, ...]
    question: str
    alert: str

    @property
    def runbook(self) -> str:
        """The page, below the repository's own folder."""
        return f"docs/runbooks/{self.alert}.md"


CHECKS: Mapping[str, Check] = {
    "grant": Check(("written",), "may this node write it", "SauvegardeSansAutorisation"),
    "backup-age": Check(("written",), "is its newest whole and safe generation young enough", "SauvegardeTresEnRetard"),
    "backup-run": Check(("written",), "did the last backup work", "SauvegardeEnEchec"),
    "copies": Check(("written",), "is the newest generation where it was promised", "CopiesInsuffisantes"),
    "lineage": Check(("written",), "does nobody know more of it than this node", "HistoireDepassee"),
    "whole": Check(("written", "held"), "has its newest backup all that it should have", "SauvegardePartielle"),
    "source": Check(("written",), "has it at its source about as much as it had", "SourceRetrecie"),
    "left-out": Check(("written",), "was everything saved", "FichiersNonSauvegardes"),
    "paper": Check(("written",), "does the recovery key on paper open it", "PapierDeSecoursAbsent"),
    "envelope": Check(("written",), "are its envelopes young enough", "EnveloppeAncienne"),
    "held": Check(("held",), "is anything of it here", "CopieAbsente"),
    "held-age": Check(("held",), "does it go on coming, whatever its origin says", "RepliqueEnRetard"),
    "held-size": Check(("held",), "is it about as large as it was", "CopieRetrecie"),
    "lost-holder": Check(("held",), "are all that hold it there", "DetenteurPerdu"),
    "fork": Check(("held",), "has it one history", "HistoireDoublee"),
    "damage": Check(("held",), "is what is held whole", "CopieEndommagee"),
    "reread": Check(("held",), "was it read again, and checked by borg, in time", "VerificationEnRetard"),
    "frozen": Check(("held",), "is it thinned as usual", "EclaircissageGele"),
    "borg-check": Check(("held",), "does borg find it in order", "VerificationEnErreur"),
    "withheld": Check(("held",), "do all holders show what they signed for", "CopieRetenue"),
    "silent-holder": Check(("held",), "do the other holders answer", "PairMuet"),
    "quota": Check(("held",), "is there room for it", "QuotaPresquePlein"),
    "lock": Check(("held",), "can nobody change what is locked", "VerrouDeRetentionPerdu"),
    "lock-probe": Check(("held",), "was that tried of late", "VerrouNonEprouve"),
    "catalogue": Check(("catalogue",), "are the newest names known", "IndexPerime"),
    "verify": Check(("catalogue",), "can all of it be decrypted", "VerificationEnRetard"),
    "drill": Check(("catalogue",), "does a restore bring it back", "TestRestaurationEnRetard"),
    "holder": Check(("failover",), "does anybody hold it", "ServiceSansDetenteur"),
    "epoch": Check(("failover",), "is who holds it whom the newest grant names", "DetenteurContredit"),
    "home": Check(("failover",), "is it held where it is at home", "ServiceLoinDeChezLui"),
    "pause": Check(("failover",), "may it be taken over", "BasculeEnPause"),
    "branch": Check(("failover",), "is everything that was written in the history that goes on", "BrancheEnAttente"),
    "work": Check(("written", "held"), "does the upkeep work", "TravailEnEchec"),
    "readable": Check(("service",), "can what is known of it be read", "EtatIllisible"),
    "agent": Check(("node",), "does the agent run", "AgentArrete"),
    "disk": Check(("node",), "is there room on the disk", "DisquePresquePlein"),
    "disk-health": Check(("node",), "are the disks well", "DisqueMalade"),
    "disk-theft": Check(("node",), "does its disk stay closed to a thief", "DisqueMalade"),
    "clock": Check(("node",), "is the clock right", "HorlogeFausse"),
    "time-source": Check(("node",), "do the servers that set its clock prove who they are", "HorlogeFausse"),
    "keys": Check(("node",), "has it its keys", "ClefsManquantes"),
    "certificate": Check(
        ("node",), "is its own certificate good for two weeks, if it has one", "CertificatBientotPerime"
    ),
    "updates": Check(("node",), "are its security updates made", "MisesAJourSecurite"),
    "public-certificate": Check(
        ("node",), "is the certificate of its pages' public name good, if they have one", "CertificatPublicPerime"
    ),
    "restore": Check(("node",), "has every restore ended, or was it given up", "RestaurationInachevee"),
    "voter": Check(("node",), "is its voter well, if it has one", "VotantMalade"),
    "failover": Check(("node",), "does the program that runs services live", "BasculeArretee"),
    "majority": Check(("node",), "does a majority of the voters answer", "MajoriteInjoignable"),
    "quarantine": Check(("node",), "is no node that it knows of in quarantine", "NoeudEnQuarantaine"),
}


@cache
def checks_of(role: str) -> tuple[str, ...]:
    """The names of the checks that are made of a thing with this role."""
    return tuple(name for name, check in CHECKS.items() if role in check.roles)
