"""Notifications as Alertmanager posts them."""

from __future__ import annotations

from typing import Any


def notification(*alerts: tuple[str, str, str]) -> dict[str, Any]:
    """As Alertmanager's: status, severity and summary of each alert."""
    made = [
        {
            "status": status,
            "labels": {"alertname": "CopieAbsente", "severity": severity},
            "annotations": {
                "summary": summary,
                "description": "Ce pair ne tient rien.",
                "runbook_url": "https://x/y.md",
            },
            "startsAt": "2026-11-26T06:00:00Z",
            "endsAt": "2026-11-26T07:00:00Z",
        }
        for status, severity, summary in alerts
    ]
    firing = any(status == "firing" for status, *_ in alerts)
    return {"status": "firing" if firing else "resolved", "alerts": made}
