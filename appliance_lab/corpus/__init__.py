"""The documents of a French town hall, made up: what the demo, the tests and the benchmarks back up."""

from appliance_lab.corpus.canary import canaries
from appliance_lab.corpus.change import change, planned_change
from appliance_lab.corpus.digest import tree_digest
from appliance_lab.corpus.generate import generate, planned
from appliance_lab.corpus.summary import Progress, Summary

__all__ = ["Progress", "Summary", "canaries", "change", "generate", "planned", "planned_change", "tree_digest"]
