"""Every metric that a node gives Prometheus: name, unit, meaning and type, once. No name is written anywhere else.

Names follow Prometheus' practice: base units, moments as `_timestamp_seconds` and never as ages, so that an age goes on
growing when its source falls silent. Label `backup` is the service ("job" is Prometheus' own word), `peer` the node
that holds a copy: a metric of a copy comes from the peer that holds it. `node` and `site` come from the server that
scrapes.

A value that is not known has no sample, never a 0; CHECK says that it is unknown.

A metric that was asked for and is left out has its reason in `docs/reference/metrics-left-out.md`. Heat, disks, the UPS
and the processor's energy come from node_exporter.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

PREFIX = "appliance_"
PATH = "/metrics"
"""Where the exporter of a node tells them."""


@dataclass(frozen=True)
class Metric:
    """`name` without the prefix. All are gauges: a node tells states, and counts nothing that never falls."""

    name: str
    help: str
    labels: tuple[str, ...] = ()
    kind: Literal["gauge"] = "gauge"

    @property
    def full_name(self) -> str:
        return PREFIX + self.name


@dataclass(frozen=True)
class Sample:
    """One value of the metric of that name without prefix; `labels` are the values of its labels, in their order."""

    metric: str
    labels: tuple[str, ...]
    value: float


BACKUP, COPY = ("backup",), ("backup", "peer")
STATES = {"ok": 0, "warning": 1, "unknown": 2, "failed": 3}
LACKING = -1
"""In their place: below all of them, so that what takes the worst of many leaves it out."""

BUILD = Metric("build_info", "Version of the appliance software; always 1", ("version",))
COMMUNE = Metric("commune_info", "Static facts about the node; always 1", ("commune", "insee", "site", "role"))
LOOKED = Metric("agent_looked_timestamp_seconds", "When the agent last examined the node and wrote these metrics")
RESTARTS = Metric(
    "restart_announced", "1 while the node says that it restarts, which is believed for five minutes; else 0"
)
CHECK = Metric(
    "check_state",
    "Answer of a check of appliance doctor: 0 ok, 1 warning, 2 unknown, 3 failed, -1 the machine has nothing to check",
    ("check", "role", "subject"),
)
SERIAL = Metric("bundle_serial", "Serial of the signed bundle in force on the node")
ISSUED = Metric("bundle_issued_timestamp_seconds", "When that bundle was signed")
CERTIFICATE = Metric("certificate_expiry_timestamp_seconds", "When the TLS certificate of the node expires")
UPDATED = Metric("update_last_success_timestamp_seconds", "Last run of the unattended security updates")
DISK_FREE = Metric("data_free_bytes", "Bytes free where the node keeps its data")
DISK_SIZE = Metric("data_size_bytes", "Size of the disk where the node keeps its data")
WORK_FAILURES = Metric(
    "work_failures", "Failures in a row of one kind of work, 0 when it last worked", ("kind", "backup")
)

RUN = Metric("backup_last_run_timestamp_seconds", "End of the last backup attempt, whatever its outcome", BACKUP)
SUCCESS = Metric("backup_last_success_timestamp_seconds", "Start of the last backup that ended without error", BACKUP)
NEWEST = Metric(
    "backup_newest_archive_timestamp_seconds", "Time of the state that the newest sealed generation holds", BACKUP
)
SAFE = Metric(
    "backup_newest_safe_timestamp_seconds",
    "Time of the state that the newest whole generation holds which the promised peers signed for",
    BACKUP,
)
UNSAFE = Metric(
    "backup_unsafe_since_timestamp_seconds",
    "Source time of the first generation, after the newest whole and safe one, that is not both",
    BACKUP,
)
DURATION = Metric("backup_last_duration_seconds", "Duration of the last backup, when it worked", BACKUP)
FILES = Metric("backup_last_source_files", "Files seen by the last backup", BACKUP)
BYTES = Metric("backup_last_source_bytes", "Original size seen by the last backup", BACKUP)
NEW_BYTES = Metric("backup_last_new_bytes", "Deduplicated and compressed bytes added by the last backup", BACKUP)
LEFT_OUT = Metric("backup_last_left_out_files", "Files that the last backup could not save", BACKUP)
RPO = Metric("backup_rpo_target_seconds", "Promised maximum age of the newest whole and safe generation", BACKUP)
RTO = Metric("backup_rto_target_seconds", "Promised maximum duration of a full restore", BACKUP)
COPIES = Metric("backup_copies", "Distinct failure domains whose peers signed for the newest generation", BACKUP)
PROMISED = Metric("backup_copies_promised", "Copies in distinct failure domains that are promised", BACKUP)
COUNTED = Metric(
    "backup_counted", "1 for each peer whose receipt for the newest generation counts, one in each failure domain", COPY
)
EPOCH = Metric("backup_epoch", "Epoch in which the service is written here", BACKUP)
ENVELOPE = Metric(
    "envelope_made_timestamp_seconds",
    "When the key of the service was encrypted to a recipient; recovery is the recovery key",
    ("backup", "recipient"),
)

SIZE = Metric("repo_size_bytes", "Bytes used by the copy at a peer", COPY)
QUOTA = Metric("repo_quota_bytes", "Bytes that the present epoch may fill at a peer", COPY)
SHORT = Metric("repo_short_bytes", "Used bytes above which a peer will soon refuse generations", COPY)
HELD_NEWEST = Metric(
    "replica_newest_archive_timestamp_seconds", "Time of the state that the newest generation at a peer holds", COPY
)
HELD_CAME = Metric(
    "replica_last_success_timestamp_seconds",
    "When a peer last signed for its newest whole generation, or that nothing changed since",
    COPY,
)
EXPECTED = Metric("replica_expected", "1 when new generations of it are due at this peer", COPY)
HELD_RPO = Metric(
    "replica_rpo_target_seconds", "Promised maximum age of the newest generation, as the peer knows it", COPY
)
HELD_EPOCH = Metric("replica_epoch", "Epoch of the newest generation held by a peer", COPY)
HOLDER_SILENT = Metric(
    "holder_silent", "1 for each other replica node that has not answered the hourly comparison for a day", COPY
)
FORKS = Metric("replica_forks", "Generations held by a peer that contradict each other", COPY)
DAMAGED = Metric("replica_damaged_files", "Files of the replica that are known to be corrupt or missing", COPY)
APPEND_ONLY = Metric(
    "replica_append_only",
    "1 when every change by the receiving account to a sealed file was refused in the last probe",
    COPY,
)
CANARY = Metric("replica_canary_intact", "1 while every generation that is still locked is there and whole", COPY)
CANARY_AGE = Metric("replica_canary_age_seconds", "Age by the ageing clock of the oldest generation still locked", COPY)
PROBED = Metric("replica_lock_probe_timestamp_seconds", "When the retention lock was last tested at a peer", COPY)

CHECKED = Metric(
    "check_last_success_timestamp_seconds",
    "Last integrity check without error; kind is repository (borg), blobs (scrub) or data (decrypted)",
    ("backup", "kind"),
)
ERRORS = Metric("check_last_errors", "Errors found by the last integrity check", ("backup", "kind"))
DRILLED = Metric(
    "restore_test_last_success_timestamp_seconds", "Last automatic restore test whose files all matched", BACKUP
)
DRILL_SECONDS = Metric("restore_test_last_duration_seconds", "Duration of the last restore test", BACKUP)
DRILL_FILES = Metric("restore_test_last_files", "Files compared by the last restore test", BACKUP)
DRILL_WRONG = Metric("restore_test_last_mismatches", "Files not restored as they were saved in that test", BACKUP)
INDEXED = Metric("index_last_success_timestamp_seconds", "Last time the catalogue caught up with the archives", BACKUP)
INDEX_NEWEST = Metric(
    "index_newest_archive_timestamp_seconds", "Source time of the newest generation in the catalogue", BACKUP
)
PATHS = Metric("index_paths", "Distinct paths in the catalogue", BACKUP)
INDEX_SIZE = Metric("index_size_bytes", "Size of the catalogue", BACKUP)

ACTIVE = Metric("failover_active", "1 on the lease holder according to the voters, 0 on the other candidates", BACKUP)
ORIGIN = Metric("failover_origin_info", "Origin of a service that can move; always 1", ("backup", "origin"))
NEWEST_EPOCH = Metric("failover_newest_epoch", "Epoch of the newest grant of the service that is known here", BACKUP)
VACANT = Metric("failover_vacant_since_timestamp_seconds", "Since when the service has no lease holder", BACKUP)
AWAY = Metric("failover_away_since_timestamp_seconds", "When a node other than its origin took the service", BACKUP)
CONTESTED = Metric(
    "failover_contested_since_timestamp_seconds",
    "Since when the lease holder is not the node that the newest grant names",
    BACKUP,
)
PAUSED = Metric("failover_paused_since_timestamp_seconds", "Since when takeover of the service is paused", BACKUP)
BRANCHES = Metric("failover_branches_waiting", "Branches of the service that wait for a decision", BACKUP)
FAILOVER_LOOKED = Metric("failover_looked_timestamp_seconds", "When the program that runs services last ran")
UNHEARD = Metric("failover_unheard_since_timestamp_seconds", "When a majority of the voters last answered this node")
QUARANTINED = Metric("node_quarantined", "1 for each node in quarantine by an act known here", ("subject",))

OUTBOX_WAITING = Metric("outbox_waiting", "Notifications of a monitoring node that wait to be delivered")
OUTBOX_ASIDE = Metric("outbox_set_aside", "Notifications that could not be written as a letter, kept for inspection")
OUTBOX_OLDEST = Metric("outbox_oldest_timestamp_seconds", "When the oldest waiting notification was accepted")
OUTBOX_TRIAL = Metric(
    "outbox_trial_timestamp_seconds",
    "When the addressee last took a test message that came by Alertmanager, or became an addressee",
    ("addressee",),
)

POWER = Metric("power_watts", "Electrical power; source is plug, for everything connected to it", ("source",))

POWER_ANSWERS = Metric(
    "power_answers", "1 when the declared UPS or plug answered at the last try, 0 when it did not", ("source",)
)

LABELS = {
    "addressee": "who gets alerts, by the name in `monitoring_addressees`",
    "backup": "the service",
    "peer": "the node that holds a copy",
    "version": "the version of the software, with the date and the commit of its build where it has them",
    "commune": "the title of the site",
    "insee": "the INSEE code of the commune",
    "site": "the site of the node",
    "role": "of a node its roles; of a check the kind of thing that is judged",
    "check": "the check, as `appliance doctor` lists it",
    "subject": "the service, peer or node that is meant; empty for the node itself",
    "kind": "the kind of work or of check",
    "origin": "the node that the service belongs to",
    "recipient": "a standby, or `recovery` for the recovery key",
    "source": "`plug` or `ups`",
}
"""The meaning of each label of ours, which no server that scrapes adds."""
METRICS: tuple[Metric, ...] = tuple(it for it in vars().values() if isinstance(it, Metric))
ABOUT_OTHERS = (COUNTED, HOLDER_SILENT)
"""The metrics of a node about its peers: every other metric with the label `peer` comes from that peer alone."""
OF_AN_OUTBOX = (OUTBOX_WAITING, OUTBOX_ASIDE, OUTBOX_OLDEST, OUTBOX_TRIAL)
"""Told by the queue of a monitoring node."""
OF_A_PLUG = (POWER, POWER_ANSWERS)
"""Told by `plug.py` and, of a UPS, `ups-measures` through node_exporter; all others by the agent of each node."""
