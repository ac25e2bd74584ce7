"""The only code that touches the machine: processes, files, locks, SSH, systemd."""
