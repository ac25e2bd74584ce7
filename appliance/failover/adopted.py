"""A service that this node was given by the key holder, beside failover: `appliance backup resync --grant` adopted it.

That grant is the way out where the voters can sign no epoch. Its repository stands here already. Its files do too when
this machine wrote it last, and then the grant counts as opened. When another node wrote it last, or the former machine
of this name, they are laid in place before the service starts, and no backup of what lies here is made until then.
"""

from __future__ import annotations

from appliance.failover.papers import newest
from appliance.failover.situation import Situation


def note_adopted(it: Situation) -> None:
    """Take up the newest grant, when it is the key holder's, was adopted here, and failover has not opened it."""
    own, kept = it.site.copies.own_grant(it.service), it.kept
    if own is None or own.epoch % 2 or own.epoch < newest(it.site.papers.grants, it.service):
        return
    if own.epoch <= kept.opened_epoch:
        return
    if it.site.services.look(it.service).writer or it.site.copies.files_are_here(it.service, kept.opened_epoch):
        it.keep(opened_epoch=own.epoch, tail=True)
        it.site.copies.hold_backups(it.service, False)
        return
    it.keep(adopts=True, generation="", required="")  # the person who asked for it chose what to go on from
    if not kept.adopts:
        it.site.copies.hold_backups(it.service, True)
