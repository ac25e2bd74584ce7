"""The sources of a backup, read before borg runs: a walk of its files, a snapshot of them, dumps of its databases."""

from appliance.backup.sources.model import Failure, PostgresServer, Prepared, ReadFrom, SourceSpec
from appliance.backup.sources.prepare import prepare
from appliance.backup.writer.manifest import LeftOut

__all__ = ["Failure", "LeftOut", "PostgresServer", "Prepared", "ReadFrom", "SourceSpec", "prepare"]
