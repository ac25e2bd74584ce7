"""One borg repository per service, sealed as generations and kept by peers who cannot read them.

Decided here: when a backup is due (`writer/schedule.py: due`), whether it is safe (`peers/safety.py: judge`), what a
vault takes (`vault/offer.py: check_writer`, `vault/limits.py: check_room`), what leaves a replica (`chain/retention.py:
prune, prune_early`) and what leaves the writer's own repository (`writer/keep.py: keep`).
"""
