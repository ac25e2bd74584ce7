"""The names of the samples that dashboards show. Ours come from `monitor/metrics.py`, others' from their exporters."""

from __future__ import annotations

from appliance.monitor import metrics

OURS = (
    *(metrics.LOOKED, metrics.SERIAL, metrics.CHECK, metrics.DISK_FREE, metrics.DISK_SIZE),
    *(metrics.EPOCH, metrics.SAFE, metrics.UNSAFE, metrics.RPO, metrics.NEW_BYTES, metrics.BYTES),
    *(metrics.HELD_NEWEST, metrics.HELD_CAME, metrics.EXPECTED, metrics.SIZE, metrics.QUOTA),
    *(metrics.CHECKED, metrics.ERRORS, metrics.DRILLED, metrics.DRILL_SECONDS, metrics.DRILL_WRONG),
)
UPS_POWER, UPS_STATUS = "network_ups_tools_ups_realpower", "network_ups_tools_ups_status"
ON_BATTERY = "OB"
PLUG_POWER = metrics.POWER.full_name
POWER_ANSWERS = metrics.POWER_ANSWERS.full_name
JOULES = "node_rapl_package_joules_total"
CHIPS, ZONES = "node_hwmon_temp_celsius", "node_thermal_zone_temp"

OF_AGENT = frozenset(it.full_name for it in OURS)
OF_MACHINE = frozenset((PLUG_POWER, POWER_ANSWERS, UPS_POWER, UPS_STATUS, JOULES, CHIPS, ZONES))
