"""Neighbouring town halls keep each other's data safe: encrypted backups at blind peers, and their restoration."""

__version__ = "0.1.0"
