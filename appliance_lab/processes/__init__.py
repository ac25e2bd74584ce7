"""A territory as plain processes on this machine: one state folder, one sshd, one agent a node; no root."""
