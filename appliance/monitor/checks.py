"""The checks, each with the question it answers and the page that says what to do.

A check is made of one thing that is judged (its `role`): a service written here, one held for others, one that this
node may serve (`failover`), a catalogue, the node itself. Its answer is the worst reason that bears its name; none
means ok. A page in `docs/runbooks/` says what to do (`page_of`), for each that asks: an alert, `appliance status` or
`appliance doctor`.

ALERTS says which answers Prometheus sends a message about. The rules are made from it (`appliance_lab/pages/alerts.py`)
and the dashboards name their reasons by it (`alert_of`): nobody else judges what a node knows of itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Literal

from appliance.monitor.states import State


@dataclass(frozen=True)
class Check:
    """`page` is that of a check that no alert watches."""

    roles: tuple[str, ...]
    question: str
    page: str = ""


@dataclass(frozen=True)
class Alert:
    """It fires while one of its checks is in one of `states`; one that is critical calls somebody."""

    severity: Literal["warning", "critical"]
    checks: tuple[str, ...]
    states: tuple[State, ...] = ("failed",)


CHECKS: Mapping[str, Check] = {
    "grant": Check(("written",), "may this node write it"),
    "first-backup": Check(("written",), "was it ever backed up", "SauvegardeJamaisSure"),
    "backup-age": Check(("written",), "is its newest whole and safe generation young enough"),
    "backup-run": Check(("written",), "did the last backup work"),
    "copies": Check(("written",), "is the newest generation where it was promised", "CopiesInsuffisantes"),
    "lineage": Check(("written",), "is no peer ahead of this node"),
    "whole": Check(("written", "held"), "is its newest backup complete"),
    "source": Check(("written",), "is its source about as large as before"),
    "left-out": Check(("written",), "was everything saved"),
    "paper": Check(("written",), "can the recovery key open it"),
    "envelope": Check(("written",), "are its envelopes recent enough"),
    "held": Check(("held",), "is there a replica here", "CopieAbsente"),
    "held-age": Check(("held",), "does this node still receive it, whatever its origin reports", "RepliqueEnRetard"),
    "held-history": Check(("held",), "are the older generations here, too", "CopieAbsente"),
    "held-size": Check(("held",), "is it about as large as before"),
    "lost-holder": Check(("held",), "are all its replica nodes present"),
    "fork": Check(("held",), "does it have one history"),
    "damage": Check(("held",), "is the replica whole"),
    "reread": Check(("held",), "was it read again, and checked by borg, in time"),
    "frozen": Check(("held",), "is it pruned as usual"),
    "borg-check": Check(("held",), "does borg find no error in it"),
    "withheld": Check(("held",), "do all replica nodes show what they signed for"),
    "silent-holder": Check(("held",), "do the other replica nodes answer", "PairMuet"),
    "quota": Check(("held",), "is there space for it"),
    "older-history": Check(("held",), "is there space for all that is older than its lock", "QuotaPresquePlein"),
    "lock": Check(("held",), "is locked data protected from changes"),
    "lock-probe": Check(("held",), "was that protection tested recently"),
    "catalogue": Check(("catalogue",), "is the catalogue up to date"),
    "verify": Check(("catalogue",), "can all of it be decrypted"),
    "drill": Check(("catalogue",), "does a restore drill succeed"),
    "holder": Check(("failover",), "does it have a lease holder"),
    "epoch": Check(("failover",), "does the lease holder match the newest grant"),
    "home": Check(("failover",), "is it served at its origin"),
    "pause": Check(("failover",), "is automatic takeover enabled"),
    "branch": Check(("failover",), "are there no unmerged branches"),
    "work": Check(("written", "held", "catalogue"), "does the maintenance work", "TravailEnEchec"),
    "readable": Check(("service",), "can its state be read"),
    "agent": Check(("node",), "does the agent run", "AgentArrete"),
    "disk": Check(("node",), "is there space on the disk"),
    "disk-health": Check(("node",), "are the disks healthy"),
    "disk-theft": Check(("node",), "is its disk protected against theft", "DisqueMalade"),
    "clock": Check(("node",), "is the clock right"),
    "time-source": Check(("node",), "is its time source authenticated", "HorlogeFausse"),
    "keys": Check(("node",), "does it have its keys"),
    "certificate": Check(("node",), "is its own certificate valid for two more weeks, if it has one"),
    "updates": Check(("node",), "are its security updates installed"),
    "public-certificate": Check(("node",), "is the certificate of its pages' public name valid, if they have one"),
    "pages": Check(("node",), "can its pages be asked, if it has any"),
    "letters": Check(("node",), "does everybody take its alerts, if it sends any", "NotificationsEnAttente"),
    "restore": Check(("node",), "has every restore finished or been given up"),
    "voter": Check(("node",), "is its voter healthy, if it has one"),
    "failover": Check(("node",), "is the program that runs services running"),
    "majority": Check(("node",), "does a majority of the voters answer"),
    "quarantine": Check(("node",), "is no known node in quarantine", "NoeudEnQuarantaine"),
}

NOT_OK: tuple[State, ...] = ("warning", "unknown", "failed")
ALERTS: Mapping[str, Alert] = {
    "SauvegardeTresEnRetard": Alert("critical", ("backup-age",)),
    "SauvegardeEnRetard": Alert("warning", ("backup-age",), ("warning", "failed")),
    "SauvegardeSansAutorisation": Alert("critical", ("grant",)),
    "SauvegardeEnEchec": Alert("warning", ("backup-run",), ("warning",)),
    "FichiersNonSauvegardes": Alert("warning", ("left-out",), ("warning",)),
    "SauvegardePartielle": Alert("warning", ("whole",), ("warning",)),
    "SourceRetrecie": Alert("critical", ("source",)),
    "EtatIllisible": Alert("critical", ("readable",), NOT_OK),
    "CopieEndommagee": Alert("critical", ("damage",)),
    "HistoireDoublee": Alert("critical", ("fork",)),
    "HistoireDepassee": Alert("critical", ("lineage",)),
    "CopieRetrecie": Alert("critical", ("held-size",), ("warning",)),
    "CopieRetenue": Alert("critical", ("withheld",)),
    "DetenteurPerdu": Alert("warning", ("lost-holder",), ("warning",)),
    "EclaircissageGele": Alert("warning", ("frozen",), ("warning",)),
    "QuotaPresquePlein": Alert("warning", ("quota",), ("warning", "failed")),
    "QuotaPlein": Alert("critical", ("quota",)),
    "VerrouDeRetentionPerdu": Alert("critical", ("lock",)),
    "VerrouNonEprouve": Alert("warning", ("lock-probe",), ("unknown",)),
    "VerificationEnRetard": Alert("warning", ("reread", "verify"), ("warning",)),
    "VerificationEnErreur": Alert("critical", ("borg-check", "verify")),
    "TestRestaurationEnRetard": Alert("warning", ("drill",), ("warning",)),
    "TestRestaurationEchoue": Alert("critical", ("drill",)),
    "IndexPerime": Alert("warning", ("catalogue",), ("warning",)),
    "PapierDeSecoursAbsent": Alert("warning", ("paper",), ("warning",)),
    "EnveloppeAncienne": Alert("warning", ("envelope",), ("warning",)),
    "ServiceSansDetenteur": Alert("critical", ("holder",)),
    "DetenteurContredit": Alert("critical", ("epoch",)),
    "ServiceLoinDeChezLui": Alert("warning", ("home",), ("warning",)),
    "BasculeEnPause": Alert("warning", ("pause",), ("warning",)),
    "BrancheEnAttente": Alert("warning", ("branch",), ("warning", "failed")),
    "BasculeArretee": Alert("critical", ("failover",)),
    "MajoriteInjoignable": Alert("critical", ("majority",)),
    "ClefsManquantes": Alert("critical", ("keys",)),
    "VotantMalade": Alert("warning", ("voter",), NOT_OK),
    "HorlogeFausse": Alert("warning", ("clock", "backup-age"), ("unknown",)),
    "DisquePresquePlein": Alert("critical", ("disk",), NOT_OK),
    "DisqueMalade": Alert("critical", ("disk-health",), NOT_OK),
    "CertificatBientotPerime": Alert("warning", ("certificate",), ("warning", "failed")),
    "CertificatUrgent": Alert("critical", ("certificate",)),
    "CertificatPublicPerime": Alert("warning", ("public-certificate",), NOT_OK),
    "PagesFermees": Alert("warning", ("pages",)),
    "RestaurationInachevee": Alert("warning", ("restore",), NOT_OK),
    "MisesAJourSecurite": Alert("warning", ("updates",), ("warning",)),
}


@cache
def alert_of(check: str, state: State) -> str:
    """The alert that fires, of two the one for fewer states; else the one whose page says what to do."""
    fires = (name for name, it in ALERTS.items() if check in it.checks and state in it.states)
    return min(fires, key=lambda name: len(ALERTS[name].states), default=page_of(check))


@cache
def page_of(check: str) -> str:
    """The page that says what to do in any state of the check: that of its first alert, where it has any."""
    return CHECKS[check].page or next(name for name, it in ALERTS.items() if check in it.checks)


def runbook_of(check: str) -> str:
    """The file of that page, below the repository's own folder."""
    return f"docs/runbooks/{page_of(check)}.md"


@cache
def checks_of(role: str) -> tuple[str, ...]:
    """The names of the checks that are made of a thing with this role."""
    return tuple(name for name, check in CHECKS.items() if role in check.roles)
