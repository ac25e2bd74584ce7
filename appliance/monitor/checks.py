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
    "lineage": Check(("written",), "is no peer ahead of this node", "HistoireDepassee"),
    "whole": Check(("written", "held"), "is its newest backup complete", "SauvegardePartielle"),
    "source": Check(("written",), "is its source about as large as before", "SourceRetrecie"),
    "left-out": Check(("written",), "was everything saved", "FichiersNonSauvegardes"),
    "paper": Check(("written",), "can the recovery key open it", "PapierDeSecoursAbsent"),
    "envelope": Check(("written",), "are its envelopes recent enough", "EnveloppeAncienne"),
    "held": Check(("held",), "is there a replica here", "CopieAbsente"),
    "held-age": Check(("held",), "does this node still receive it, whatever its origin reports", "RepliqueEnRetard"),
    "held-size": Check(("held",), "is it about as large as before", "CopieRetrecie"),
    "lost-holder": Check(("held",), "are all its replica nodes present", "DetenteurPerdu"),
    "fork": Check(("held",), "does it have one history", "HistoireDoublee"),
    "damage": Check(("held",), "is the replica whole", "CopieEndommagee"),
    "reread": Check(("held",), "was it read again, and checked by borg, in time", "VerificationEnRetard"),
    "frozen": Check(("held",), "is it thinned as usual", "EclaircissageGele"),
    "borg-check": Check(("held",), "does borg find no error in it", "VerificationEnErreur"),
    "withheld": Check(("held",), "do all replica nodes show what they signed for", "CopieRetenue"),
    "silent-holder": Check(("held",), "do the other replica nodes answer", "PairMuet"),
    "quota": Check(("held",), "is there space for it", "QuotaPresquePlein"),
    "lock": Check(("held",), "is locked data protected from changes", "VerrouDeRetentionPerdu"),
    "lock-probe": Check(("held",), "was that protection tested recently", "VerrouNonEprouve"),
    "catalogue": Check(("catalogue",), "is the catalogue up to date", "IndexPerime"),
    "verify": Check(("catalogue",), "can all of it be decrypted", "VerificationEnRetard"),
    "drill": Check(("catalogue",), "does a restore drill succeed", "TestRestaurationEnRetard"),
    "holder": Check(("failover",), "does it have a lease holder", "ServiceSansDetenteur"),
    "epoch": Check(("failover",), "does the lease holder match the newest grant", "DetenteurContredit"),
    "home": Check(("failover",), "is it served at its origin", "ServiceLoinDeChezLui"),
    "pause": Check(("failover",), "is automatic takeover enabled", "BasculeEnPause"),
    "branch": Check(("failover",), "are there no unmerged branches", "BrancheEnAttente"),
    "work": Check(("written", "held"), "does the maintenance work", "TravailEnEchec"),
    "readable": Check(("service",), "can its state be read", "EtatIllisible"),
    "agent": Check(("node",), "does the agent run", "AgentArrete"),
    "disk": Check(("node",), "is there space on the disk", "DisquePresquePlein"),
    "disk-health": Check(("node",), "are the disks healthy", "DisqueMalade"),
    "disk-theft": Check(("node",), "is its disk protected against theft", "DisqueMalade"),
    "clock": Check(("node",), "is the clock right", "HorlogeFausse"),
    "time-source": Check(("node",), "is its time source authenticated", "HorlogeFausse"),
    "keys": Check(("node",), "does it have its keys", "ClefsManquantes"),
    "certificate": Check(
        ("node",), "is its own certificate valid for two more weeks, if it has one", "CertificatBientotPerime"
    ),
    "updates": Check(("node",), "are its security updates installed", "MisesAJourSecurite"),
    "public-certificate": Check(
        ("node",), "is the certificate of its pages' public name valid, if they have one", "CertificatPublicPerime"
    ),
    "restore": Check(("node",), "has every restore finished or been given up", "RestaurationInachevee"),
    "voter": Check(("node",), "is its voter healthy, if it has one", "VotantMalade"),
    "failover": Check(("node",), "is the program that runs services running", "BasculeArretee"),
    "majority": Check(("node",), "does a majority of the voters answer", "MajoriteInjoignable"),
    "quarantine": Check(("node",), "is no known node in quarantine", "NoeudEnQuarantaine"),
}


@cache
def checks_of(role: str) -> tuple[str, ...]:
    """The names of the checks that are made of a thing with this role."""
    return tuple(name for name, check in CHECKS.items() if role in check.roles)
