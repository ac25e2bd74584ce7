"""nftables: whole tables put in place at once; only tables of our own are touched."""

from __future__ import annotations

from appliance.host.command import run
from appliance.host.network.netns import inside

TIMEOUT_SECONDS = 30.0


def apply(rules: str, *, namespace: str | None = None) -> None:
    """Load `rules` in one transaction, in `namespace` or in this machine's own network."""
    run(_argv(namespace, "-f", "-"), timeout_seconds=TIMEOUT_SECONDS, stdin=rules.encode(), check=True)


def replace_table(table: str, body: str, *, namespace: str | None = None) -> None:
    """Put `body` in place of what `table` ("inet name") holds, in one transaction, whether it was there or not."""
    apply(f"table {table} {{}}\ndelete table {table}\ntable {table} {{\n{body}}}\n", namespace=namespace)


def delete_table(table: str, *, namespace: str | None = None) -> None:
    """Take `table` away; nothing happens when it is not there."""
    apply(f"table {table} {{}}\ndelete table {table}\n", namespace=namespace)


def _argv(namespace: str | None, *words: str) -> tuple[str, ...]:
    return ("nft", *words) if namespace is None else inside(namespace, ("nft", *words))
