"""A service that this node was given by the key holder, beside failover: `appliance backup resync --grant` adopted it.

That grant is the way out where the voters can sign no epoch. Its repository stands here already. Its files do too when
this machine wrote it last, and then the grant counts as opened. When another node wrote it last, or the former machine
of this name, they are laid in place before the service starts, and no backup of what lies here is made until then.
"""

from __future__ import annotations

from appliance.failover.context import ServiceContext
from appliance.failover.documents import newest


def note_adopted(ctx: ServiceContext) -> None:
    """Take up the newest grant, when it is the key holder's, was adopted here, and failover has not opened it."""
    own, durable = ctx.node.copies.own_grant(ctx.service), ctx.durable
    if own is None or own.epoch % 2 or own.epoch < newest(ctx.node.documents.grants, ctx.service):
        return
    if own.epoch <= durable.opened_epoch:
        return
    if ctx.node.services.look(ctx.service).writer or ctx.node.copies.files_are_here(ctx.service, durable.opened_epoch):
        ctx.keep(opened_epoch=own.epoch, unreplicated_writes=True)
        ctx.node.copies.hold_backups(ctx.service, False)
        return
    ctx.keep(adopts=True, generation="", required="")  # the person who asked for it chose what to go on from
    if not durable.adopts:
        ctx.node.copies.hold_backups(ctx.service, True)
