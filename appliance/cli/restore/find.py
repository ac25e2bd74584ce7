"""`appliance restore find` and `versions`: what there is to bring back, by name, over all versions.

The modules that open services are loaded once it is known what is looked for: a person who asks for help, or mistypes,
does not wait.
"""

from __future__ import annotations

import click

from appliance.cli.restore.options import LIMIT_MAX, paper_option, service_option, source_option
from appliance.errors import UsageError


@click.command()
@click.argument("words", metavar="TERM...", nargs=-1)
@service_option
@click.option("--deleted", "only_deleted", is_flag=True, help="Only files that the newest backup no longer has.")
@click.option(
    "--limit", type=click.IntRange(1, LIMIT_MAX), default=50, show_default=True, help="The maximum number of results."
)
@source_option
@paper_option
def find(
    words: tuple[str, ...], service: str | None, only_deleted: bool, limit: int, source: str, paper: bool
) -> int | None:
    """Find the files whose path contains all words of TERM, in any version; accents and case do not matter.

    Exits with 1 when one of several services could not be searched.
    """
    term = " ".join(words).strip()
    if not term and not only_deleted:
        raise UsageError(
            "no search term was given.", remedy="Give a part of the name, or --deleted for what was deleted."
        )
    from appliance.cli.restore import found

    return found.find(term, service, limit, source, only_deleted=only_deleted, paper=paper)


@click.command()
@click.argument("path")
@service_option
@source_option
@paper_option
def versions(path: str, service: str | None, source: str, paper: bool) -> None:
    """List every version of this exact PATH, numbered from 1, the newest."""
    from appliance.cli.restore import found

    found.versions(path, service, source, paper=paper)
