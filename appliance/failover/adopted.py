"""A service that this node was given by the key holder, beside failover: `appliance backup resync --grant` adopted it.

That grant is the way out where the voters can sign no epoch. Its repository stands here already. Its files do too when
this node wrote it last, and then the grant counts as opened. When another node wrote it last, they are laid in place
before the service starts, and no backup of the older ones that lie here is made until then.
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
    runs_here = it.site.services.look(it.service).writer
    if runs_here or it.site.copies.writer_before(it.service, own.epoch) in ("", it.site.name):
        it.keep(opened_epoch=own.epoch, tail=True)
    elif not kept.adopts:
        it.keep(adopts=True)
        it.site.copies.await_files(it.service)
