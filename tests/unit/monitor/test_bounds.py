"""The terminal and an alert say the same: the bounds of checks are those of the rules."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from appliance.backup.proofs.proof_times import DRILL_SECONDS, VERIFY_SECONDS
from appliance.monitor import failover, held, lasting, states, status
from appliance.units import DAY

RULES = yaml.safe_load((Path(__file__).parents[3] / "roles/monitoring/files/alerts.rules").read_text())
EXPRESSIONS = {it["alert"]: it["expr"] for group in RULES["groups"] for it in group["rules"] if "alert" in it}


@pytest.mark.parametrize(
    ("alert", "bound"),
    [
        ("AgentArrete", status.AGENT_LOOKS_WITHIN_SECONDS),
        ("BasculeEnPause", failover.PAUSED_SECONDS_MAX),
        ("CertificatBientotPerime", lasting.CERTIFICATE_SOON_SECONDS),
        ("CertificatUrgent", lasting.CERTIFICATE_URGENT_SECONDS),
        ("DetenteurContredit", failover.CONTESTED_SECONDS_MAX),
        ("EnveloppeAncienne", lasting.ENVELOPE_SECONDS_MAX),
        ("MisesAJourSecurite", lasting.UPDATES_SECONDS_MAX),
        ("QuotaPresquePlein", held.QUOTA_WARNING),
        ("SauvegardeEnRetard", states.LATE),
        ("SauvegardeTresEnRetard", states.TOO_LATE),
        ("ServiceLoinDeChezLui", failover.AWAY_SECONDS_MAX),
        ("ServiceSansDetenteur", failover.VACANT_SECONDS_MAX),
        ("TestRestaurationEnRetard", held.PROOF_LATE * DRILL_SECONDS),
        ("VerificationEnRetard", held.PROOF_LATE * VERIFY_SECONDS),
        ("VerrouNonEprouve", held.LOCK_TRIED_SECONDS_MAX),
    ],
)
def test_a_check_and_its_alert_have_one_bound(alert: str, bound: float) -> None:
    found = re.findall(r"[<>]=? (?:on \([a-z, ]+\) \()?([0-9.]+)( \* 86400)?", EXPRESSIONS[alert])
    assert bound in [float(number) * (DAY if days else 1) for number, days in found]
