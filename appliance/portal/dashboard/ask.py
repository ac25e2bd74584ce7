"""Ask one program for its measures: over HTTP, bounded in time and in size as a whole."""

from __future__ import annotations

import math
import ssl
from http import HTTPStatus

from appliance.errors import IntegrityError, Unreachable
from appliance.host.network import http_call
from appliance.monitor import scrape
from appliance.portal.dashboard.observations import Sample
from appliance.portal.dashboard.targets import Target

ANSWER_SECONDS_MAX = 5.0
ANSWER_BYTES_MAX = scrape.BYTES_MAX
SAMPLES_MAX = scrape.SAMPLES_MAX
"""As Prometheus: all that is told is read again by every page."""


def ask(target: Target, tls: ssl.SSLContext | None = None, *, seconds_max: float = ANSWER_SECONDS_MAX) -> bytes:
    """Return the answer of `target`; raise Unreachable for none within `seconds_max`, IntegrityError for an invalid
    one."""
    peer = f"{target.address}:{target.port}"
    # By TLS whenever it has a name, never in clear instead; a context without authorities trusts nobody.
    trusted = tls or ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        with http_call.call(
            target.url, seconds_max=seconds_max, bytes_max=ANSWER_BYTES_MAX, tls=trusted, name=target.name
        ) as answer:
            if answer.status != HTTPStatus.OK:
                raise IntegrityError(f"{peer} answers {answer.status}.")
            if not answer.states_length:
                raise IntegrityError(f"{peer} does not state the length of its answer.")
            return answer.read()
    except OSError as error:
        raise Unreachable(f"{peer}: {error or type(error).__name__}.") from error


def samples(text: bytes, names: frozenset[str]) -> tuple[Sample, ...]:
    """The samples of `names` in the text format of Prometheus; raise IntegrityError for what is none.

    Lines of other names are left out before anything is parsed: a machine tells a thousand.
    """
    # The pages load this module and never parse: their first answer does not wait for it.
    from prometheus_client.parser import text_string_to_metric_families

    lines = [line for line in text.decode("utf-8", "replace").splitlines() if _name(line) in names]
    if len(lines) > SAMPLES_MAX:
        raise IntegrityError(f"there are {len(lines)} metrics, but no node has more than {SAMPLES_MAX}.")
    try:
        families = tuple(text_string_to_metric_families("\n".join(lines) + "\n"))
    except ValueError as error:
        raise IntegrityError(f"these are not valid metrics: {error}.") from error
    found = (it for family in families for it in family.samples)
    return tuple(Sample(it.name, dict(it.labels), it.value) for it in found if math.isfinite(it.value))


def _name(line: str) -> str:
    return line.partition("{")[0].partition(" ")[0]
