"""What a service's backup reads before borg does: a walk of its files, a snapshot of them, dumps of its databases."""

from appliance.backup.manifest import LeftOut
from appliance.backup.sources.model import Failure, PostgresServer, Prepared, ReadFrom, SourceSpec
from appliance.backup.sources.prepare import prepare

__all__ = ["Failure", "LeftOut", "PostgresServer", "Prepared", "ReadFrom", "SourceSpec", "prepare"]
