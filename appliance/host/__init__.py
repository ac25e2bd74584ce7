"""The machine as the other packages use it: processes, files, locks, SSH, systemd."""
