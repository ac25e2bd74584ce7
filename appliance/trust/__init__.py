"""The formats that are signed, and their checks: bundle, grant, generation header and list, receipt, act."""
