"""Measure the figures that we promise, against borg itself, on real parts; nothing is switched off for it."""
