"""`appliance internal portal work`: behind the pages, the worker with the rights to restore."""

from __future__ import annotations

import click

from appliance.cli.this_layout import this_layout
from appliance.portal.worker import work


@click.command("work")
def work_() -> None:
    """Carry out the requests of the pages until SIGTERM: open services, update their catalogues, restore, undo.

    Started by systemd for a call of the pages, it ends when nobody has looked at a page for two minutes.
    """
    work(this_layout().root)
