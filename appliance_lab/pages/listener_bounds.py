"""docs/reference/listener-bounds.md, from the code's own constants and the units: run this module, and it prints it.

Each bound names the test in which a hostile client tries it; a test looks whether those tests are there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path

from appliance.backup.vault import session, wire
from appliance.coordination import wire as broker_wire
from appliance.host import journal_limit
from appliance.monitor import bounded, exporter, outbox_server
from appliance.node.handle import QUIET_SECONDS
from appliance.portal import connections
from appliance.portal.base import forms
from appliance.portal.base import limits as tries
from appliance.programs import privileged
from appliance.restore.preview import client, model
from appliance.units import format_bytes
from appliance.voter import server

UNITS = Path(__file__).parents[2] / "systemd"
HEAD = """# What each listener bounds

Written from the code by `python3 -m appliance_lab.pages.listener_bounds` (`make docs`). A caller beyond a bound gets
one sentence or is cut off. Memory and tasks are those of the unit, which the kernel holds to on hosts; in process mode
there are no units, and the bounds of the program alone stand. Lines of the journal are those that one caller can bring
about in a minute, however often it asks; where it says "of all", all callers together. sshd, which stands before a
vault, writes lines of its own, which the system's journal bounds. That the kernel holds a unit to its memory and tasks
was not tried by a hostile client: the test of these reads the units.

"""
CELLS = ("memory", "tasks", "open at once", "bytes a request", "seconds", "attempts", "lines a minute")
TRIED = """
## A hostile client for each bound

| listener | bound | tried in |
| --- | --- | --- |
"""
END = """
A vault's answer is read by the program that asked for it: its node's agent, or a command that somebody typed. That
program begins the conversation, one with each peer, so only bytes and seconds of the answer are a peer's to choose: at
most {size} a frame, and {seconds:.0f} s of less than {rate} B/s
(`tests/unit/backup/vault/test_vault_wire.py::test_a_frame_that_is_none_ends_the_conversation`,
`tests/unit/backup/vault/test_vault_wire.py::test_a_byte_now_and_then_is_silence_too`).
"""
LISTENER_UNITS = "unit/host/test_listener_units.py::"
OF_MEMORY = LISTENER_UNITS + "test_a_listener_has_a_bound_of_memory_and_of_tasks"
OF_LINES = LISTENER_UNITS + "test_the_journal_takes_so_many_lines_a_minute_of_what_whoever_calls_can_make_fail"
VAULT, SESSION = "integration/vault/test_vault_hostile.py::", "integration/vault_worlds/test_vault_sessions.py::"
BROKER = "integration/coordination/test_broker_server.py::"
CONNECTIONS, ATTACKS = "integration/portal/test_connections.py::", "integration/portal/test_attacks.py::"
PREVIEW, HELPER = "integration/restore/test_preview.py::", "unit/host/test_privileged.py::"
EXPORTER, QUEUE = "integration/monitor/test_exporter.py::", "integration/monitor/test_outbox_server.py::"


@dataclass(frozen=True)
class Bound:
    """The bound in its own unit, and the test with a hostile client, file and name."""

    says: str
    tried: str


@dataclass(frozen=True)
class Listener:
    """Its bounds in the order of CELLS, after memory and tasks, which are the unit's."""

    name: str
    unit: str
    open_max: Bound
    bytes_max: Bound
    seconds: Bound
    attempts: Bound
    lines: Bound

    @property
    def bounds(self) -> tuple[Bound, ...]:
        unit = _settings(self.unit)
        own = (Bound(unit[key], OF_MEMORY) for key in ("MemoryMax", "TasksMax"))
        return (*own, *(it for it in (getattr(self, field.name) for field in fields(self)) if isinstance(it, Bound)))


def _settings(unit: str) -> Mapping[str, str]:
    lines = (UNITS / unit).read_text().splitlines()
    return {key: value for key, mark, value in (it.partition("=") for it in lines) if mark and not key.startswith("#")}


def _lines(unit: str) -> Bound:
    """The journal's own limit, of all callers together."""
    return Bound(f"{_settings(unit)['LogRateLimitBurst']} of all", OF_LINES)


LISTENERS = (
    Listener(
        "vault session",
        "appliance-vault@.service",
        Bound(f"{session.SESSIONS_PER_CALLER_MAX} a caller", f"{SESSION}test_a_caller_has_a_few_seats_and_no_more"),
        Bound(format_bytes(session.REQUEST_BYTES_MAX), f"{SESSION}test_a_frame_larger_than_any_request_is_not_read"),
        Bound(f"{session.QUIET_SECONDS:.0f} of silence", f"{VAULT}test_sessions_that_never_end_keep_nobody_else_out"),
        Bound(
            "5 times the usual bytes a day",
            f"{VAULT}test_of_a_push_that_overfills_the_day_in_pieces_only_the_days_part_is_asked_for",
        ),
        Bound(
            f"{session.REFUSALS_TOLD_MAX} refusals",
            f"{SESSION}test_a_caller_that_is_refused_without_end_fills_no_journal",
        ),
    ),
    Listener(
        "broker",
        "appliance-broker.service",
        Bound(
            f"{server.CONVERSATIONS_MAX} a caller, "
            f"{server.CONVERSATIONS_PER_SERVICE} more for each service it may hold",
            f"{BROKER}test_a_node_has_so_many_conversations_and_another_has_its_own",
        ),
        Bound(format_bytes(broker_wire.LINE_BYTES_MAX), f"{BROKER}test_a_line_without_an_end_ends_the_conversation"),
        Bound(
            f"{server.IDLE_SECONDS_MAX:.0f} of silence",
            f"{BROKER}test_who_says_nothing_loses_the_conversation",
        ),
        Bound(
            f"{server.CHANGES_PER_SECOND_MAX:.0f} changes a second, {server.CHANGES_AT_ONCE_MAX:.0f} at once",
            f"{BROKER}test_who_changes_things_without_end_is_refused_and_the_others_are_not",
        ),
        Bound("0", f"{BROKER}test_what_is_no_call_is_no_line_of_the_journal"),
    ),
    Listener(
        "portal",
        "appliance-portal.service",
        Bound(
            f"{connections.PER_ADDRESS_MAX} an address, {connections.CONCURRENT_MAX} in all",
            f"{CONNECTIONS}test_one_address_has_so_many_connections_and_others_are_answered",
        ),
        Bound(format_bytes(forms.BODY_BYTES_MAX), f"{ATTACKS}test_a_form_that_is_too_long_is_refused"),
        Bound(
            f"{connections.REQUEST_SECONDS} until a request is whole",
            f"{CONNECTIONS}test_a_request_that_does_not_end_is_ended_and_a_slow_answer_is_not",
        ),
        Bound(
            f"{tries.PER_NAME} wrong passwords a name, {tries.PER_ADDRESS} an address, in 15 min",
            "unit/portal/test_sign_in.py::test_one_address_tries_many_names_only_so_often",
        ),
        Bound(
            f"{tries.PER_ADDRESS} refused an address in 15 min; 1 slowed and 1 of what is no request, of all",
            f"{CONNECTIONS}test_requests_that_are_none_are_one_line_a_minute",
        ),
    ),
    Listener(
        "preview",
        "appliance-preview@.service",
        Bound("2 of all", f"{PREVIEW}test_a_unit_with_as_many_callers_as_it_takes_is_asked_again_for_a_while"),
        Bound(format_bytes(model.FILE_BYTES_MAX), f"{PREVIEW}test_a_file_that_is_too_large_is_not_even_sent"),
        Bound(f"{client.SECONDS_MAX:.0f} in all", f"{PREVIEW}test_a_worker_that_hangs_is_ended_and_says_nothing"),
        Bound("as many as are open", f"{PREVIEW}test_a_unit_that_stays_busy_is_told_as_such"),
        _lines("appliance-preview@.service"),
    ),
    Listener(
        "privileged helper",
        "appliance-hands.service",
        Bound(f"{privileged.CALLS_MAX} of all", f"{HELPER}test_a_call_too_many_is_told_so"),
        Bound(
            format_bytes(privileged.REQUEST_BYTES_MAX),
            f"{HELPER}test_calls_are_answered_beside_each_other_until_nobody_calls_any_more",
        ),
        Bound(
            f"{privileged.REQUEST_SECONDS_MAX:.0f} of silence, {privileged.CALL_SECONDS_MAX} in all",
            f"{HELPER}test_calls_are_answered_beside_each_other_until_nobody_calls_any_more",
        ),
        Bound("as many as are open", f"{HELPER}test_a_call_too_many_is_told_so"),
        _lines("appliance-hands.service"),
    ),
    Listener(
        "exporter",
        "appliance-exporter.service",
        Bound(f"{exporter.PER_ADDRESS_MAX} an address", f"{EXPORTER}test_one_address_has_so_many_connections"),
        Bound(
            f"{format_bytes(bounded.LINE_BYTES_MAX)} a line",
            f"{EXPORTER}test_a_request_line_without_an_end_is_refused",
        ),
        Bound(
            f"{bounded.SILENT_SECONDS_MAX:.0f} of silence, {bounded.CONNECTION_SECONDS_MAX:.0f} in all",
            f"{EXPORTER}test_a_request_that_drips_is_cut",
        ),
        Bound("as many as are open", f"{EXPORTER}test_one_address_has_so_many_connections"),
        Bound(f"{60 / journal_limit.SECONDS:.0f} of all", f"{EXPORTER}test_who_breaks_off_again_and_again_is_one_line"),
    ),
    Listener(
        "queue of notifications",
        "appliance-outbox.service",
        Bound(
            f"{outbox_server.PER_ADDRESS_MAX} of all",
            f"{QUEUE}test_connections_that_say_nothing_are_cut_and_others_are_taken",
        ),
        Bound(format_bytes(outbox_server.BODY_BYTES_MAX), f"{QUEUE}test_a_notification_that_is_too_long_is_not_read"),
        Bound(
            f"{bounded.SILENT_SECONDS_MAX:.0f} of silence, {bounded.CONNECTION_SECONDS_MAX:.0f} in all",
            f"{QUEUE}test_connections_that_say_nothing_are_cut_and_others_are_taken",
        ),
        Bound("as many as are open", f"{QUEUE}test_connections_that_say_nothing_are_cut_and_others_are_taken"),
        Bound(f"{60 / journal_limit.SECONDS:.0f} of all", f"{QUEUE}test_what_is_refused_again_and_again_is_one_line"),
    ),
)


def page() -> str:
    head = f"| listener | {' | '.join(CELLS)} |\n| --- |{' --- |' * len(CELLS)}\n"
    rows = "".join(f"| {it.name} | {' | '.join(bound.says for bound in it.bounds)} |\n" for it in LISTENERS)
    end = END.format(size=format_bytes(wire.FRAME_BYTES_MAX), seconds=QUIET_SECONDS, rate=wire.SLOWEST_BYTES_PER_SECOND)
    return HEAD + head + rows + TRIED + "".join(_tried()) + end


def _tried() -> Iterator[str]:
    for it in LISTENERS:
        for cell, bound in zip(CELLS, it.bounds, strict=True):
            yield f"| {it.name} | {cell} | `tests/{bound.tried}` |\n"


def main() -> None:
    print(page(), end="")


if __name__ == "__main__":
    main()
