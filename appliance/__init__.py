"""Neighbouring town halls keep each other's data safe: encrypted backups at blind peers, and their restoration."""

import gc

gc.set_threshold(20_000)  # what a program loads stays; looking at it again and again was a twentieth of each start

__version__ = "0.1.0"
