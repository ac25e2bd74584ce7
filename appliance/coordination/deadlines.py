"""How long a call may take: each try at one voter, and the whole call around all of them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from appliance.errors import Unreachable

CONNECT_SECONDS_MAX = 0.7
TRY_SECONDS_MAX = 1.5


@contextlib.asynccontextmanager
async def total(seconds_max: float) -> AsyncIterator[None]:
    """A deadline around a whole call: what is not answered by then is unknown."""
    try:
        async with asyncio.timeout(seconds_max):
            yield
    except TimeoutError as error:
        raise Unreachable(f"the voters did not answer within {seconds_max:.1f} s.") from error
