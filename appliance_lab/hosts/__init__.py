"""The lab: every node of a territory as a real Debian host with systemd as PID 1, all on this machine, as root."""
