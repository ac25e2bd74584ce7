"""An option that was renamed: its old name works in this version, is not shown, and says the present one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click


class RenamedOption(click.Option):
    """`formerly` is its old name. Only the parser of the command knows which words are options and which are values."""

    def __init__(self, declared: Sequence[str], *, formerly: str, **attributes: Any) -> None:
        super().__init__(declared, **attributes)
        self.formerly = formerly
        self._old_name = f"formerly_{self.name}"
        self._old = click.Option([formerly, self._old_name], **attributes)

    def add_to_parser(self, parser: Any, ctx: click.Context) -> None:
        super().add_to_parser(parser, ctx)
        self._old.add_to_parser(parser, ctx)

    def consume_value(self, ctx: click.Context, opts: Mapping[str, Any]) -> tuple[Any, click.core.ParameterSource]:
        if self._old_name in opts:
            if not ctx.resilient_parsing:
                click.echo(f'"{self.formerly}" is now "{self.opts[0]}".', err=True)
            opts = {str(self.name): opts[self._old_name], **opts}
        return super().consume_value(ctx, opts)
