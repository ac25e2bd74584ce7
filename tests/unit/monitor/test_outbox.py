"""Notifications that wait: nothing is lost, nobody waits for another, and what is read is French."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from appliance.errors import IntegrityError, UsageError
from appliance.monitor.letter import write
from appliance.monitor.outbox import WAIT_SECONDS_MAX, Delay, Outbox, addressees_of, deliver_one
from appliance.monitor.outbox_server import read_settings
from appliance.portal.dashboard.targets import ADDRESS
from tests.unit.monitor.notifications import notification


class Post:
    """The receivers that refuse, and what was sent."""

    def __init__(self, *refusing: str) -> None:
        self.refusing = set(refusing)
        self.sent: list[tuple[str, Any]] = []

    def __call__(self, to: str, notification: Mapping[str, Any]) -> None:
        if to in self.refusing:
            raise ConnectionRefusedError("the fibre is cut")
        self.sent.append((to, notification["number"]))


def deliver(
    outbox: Outbox,
    delays: Mapping[str, Delay],
    now: float,
    send: Callable[[str, Mapping[str, Any]], None],
    say: Callable[[str], None],
) -> dict[str, Delay]:
    """A turn of each addressee who is due, one after the other."""
    left = dict(delays)
    for to in outbox.addressees():
        if now >= left.get(to, Delay()).until:
            left[to] = deliver_one(outbox, to, left.get(to, Delay()), lambda: now, send, say, set())
    return {to: it for to, it in left.items() if it.failures}


def test_what_cannot_be_delivered_waits_and_comes_in_order_when_the_line_is_back(tmp_path: Path) -> None:
    outbox, post, said = Outbox(tmp_path), Post("mail", "hook"), list[str]()
    for number in (1, 2):
        outbox.put(("mail", "hook"), {"number": number}, 1000.0 + number)
    delays = deliver(outbox, {}, 0.0, post, said.append)
    assert (post.sent, outbox.count()) == ([], 4)
    assert said == [f"{to}: not delivered, try 1: the fibre is cut" for to in ("hook", "mail")]
    post.refusing = {"mail"}
    again = Outbox(tmp_path)  # the machine was restarted meanwhile
    for _ in range(3):
        delays = deliver(again, delays, 10.0, post, said.append)
    assert post.sent == [("hook", 1), ("hook", 2)]
    post.refusing.clear()
    for _ in range(3):
        delays = deliver(again, delays, 1000.0, post, said.append)
    assert post.sent == [("hook", 1), ("hook", 2), ("mail", 1), ("mail", 2)]
    assert (again.count(), delays) == (0, {})


def test_who_refuses_is_tried_less_and_less_often_and_never_given_up() -> None:
    delay, waits = Delay(), []
    for _ in range(12):
        delay = delay.after_failure(100.0)
        waits.append(delay.until - 100.0)
    assert waits[:3] == [2.0, 4.0, 8.0]
    assert waits[-1] == WAIT_SECONDS_MAX


def test_a_restart_does_not_begin_with_an_addressee_that_refuses_and_forgets_none(tmp_path: Path) -> None:
    Outbox(tmp_path).put(("mail",), {"number": 1}, 1000.0)
    Outbox(tmp_path).keep_delay("mail", Delay(50.0, 4), 2000.0)
    again = Outbox(tmp_path)
    assert again.read_delay("mail", 7.0, 2006.0) == Delay(17.0, 4), "16 s after the fourth failure"
    assert again.read_delay("mail", 7.0, 3000.0) == Delay(7.0, 4)
    assert again.read_delay("mail", 7.0, 500.0) == Delay(23.0, 4), "a clock that was set back delays it no longer"
    again.keep_delay("mail", Delay(), 2000.0)
    assert again.read_delay("mail", 7.0, 2006.0) == again.read_delay("moon", 7.0, 2006.0) == Delay()
    (tmp_path / "mail/state.json").write_text("half")
    assert (again.read_delay("mail", 7.0, 2006.0), again.count()) == (Delay(), 1)


def test_what_the_disk_does_not_let_go_is_not_sent_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outbox, post, said, sent = Outbox(tmp_path), Post(), list[str](), set[Path]()
    outbox.put(("hook",), {"number": 1}, 1.0)
    real = Outbox.done

    def refuse(*_: object) -> None:
        raise OSError("read-only file system")

    monkeypatch.setattr(Outbox, "done", refuse)
    delay = deliver_one(outbox, "hook", Delay(), lambda: 5.0, post, said.append, sent)
    deliver_one(outbox, "hook", delay, lambda: 10.0, post, said.append, sent)
    assert (post.sent, outbox.count()) == ([("hook", 1)], 1)
    assert said[0] == "hook: delivered, and still in the queue: read-only file system"
    monkeypatch.setattr(Outbox, "done", real)
    assert deliver_one(outbox, "hook", delay, lambda: 20.0, post, said.append, sent) == Delay()
    assert (post.sent, outbox.count(), sent) == ([("hook", 1)], 0, set())


def test_a_file_that_cannot_be_read_is_set_aside_and_blocks_nobody(tmp_path: Path) -> None:
    outbox, post, said = Outbox(tmp_path), Post(), list[str]()
    outbox.put(("hook",), {"number": 1}, 1.0)
    (tmp_path / "hook/000000000000000-000000.json").write_text("half")
    for _ in range(2):
        deliver(outbox, {}, 0.0, post, said.append)
    assert post.sent == [("hook", 1)]
    assert "not one of our notifications" in said[0]
    assert len(list((tmp_path / "hook").glob("bad-*"))) == 1


def test_a_message_of_which_no_letter_can_be_made_is_set_aside_and_those_behind_it_go_on(tmp_path: Path) -> None:
    outbox, post, said = Outbox(tmp_path), Post(), list[str]()
    outbox.put(("mail",), {"alerts": [{}]}, 1.0)
    outbox.put(("mail",), {**notification(("firing", "critical", "x")), "number": 2}, 2.0)

    def send(to: str, notification: Mapping[str, Any]) -> None:
        write(notification)
        post(to, notification)

    for _ in range(2):
        deliver(outbox, {}, 0.0, send, said.append)
    assert post.sent == [("mail", 2)]
    assert (outbox.count(), outbox.count_aside()) == (0, 1)
    assert "mail: set aside: this is not a notification of Alertmanager" in said[0]


def test_what_threads_put_at_the_same_moment_has_a_name_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outbox = Outbox(tmp_path)
    names: list[str] = []
    monkeypatch.setattr("appliance.monitor.outbox.write_atomic", lambda path, *_, **__: names.append(path.name))
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=lambda: [outbox.put(("x",), {}, 1.0) for _ in range(300)]) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(before)
    assert len(names) == len(set(names)) == 1200


def test_what_waits_is_for_this_account_alone(tmp_path: Path) -> None:
    Outbox(tmp_path / "box").put(("hook",), {"number": 1}, 1.0)
    assert {path.stat().st_mode & 0o077 for path in tmp_path.rglob("*")} == {0}


@pytest.mark.parametrize(
    "body",
    [
        [],
        {"alerts": []},
        {"status": "firing", "alerts": [{}]},
        {"status": "firing", "alerts": [3]},
        {"status": "firing", "alerts": [{"status": "firing", "labels": {"alertname": "\ud800"}, "annotations": {}}]},
    ],
)
def test_of_what_is_no_notification_no_letter_is_made(body: Any) -> None:
    with pytest.raises(IntegrityError, match="not a notification of Alertmanager"):
        write(body)


def test_a_receiver_that_nobody_declared_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match='no receiver "x"; known: regie'):
        addressees_of({"receivers": {"regie": ["mail"]}}, "x")
    file = tmp_path / "settings"
    file.write_text('{"receivers": {"regie": ["mail"]}, "addressees": {}}')
    with pytest.raises(UsageError, match=r'receiver "regie" names mail'):
        read_settings(file)


@pytest.mark.parametrize(
    ("alerts", "subject"),
    [
        ([("firing", "critical", "docs : rien chez b")], "[URGENT] docs : rien chez b"),
        ([("firing", "warning", "a : 85 °C")], "[Alerte] a : 85 °C"),
        ([("resolved", "critical", "docs : rien chez b")], "[Fin] docs : rien chez b"),
        ([("firing", "warning", "x"), ("resolved", "critical", "y")], "[Alerte] x (et 1 de plus)"),
        ([("firing", "warning", "two\r\nBcc: lines")], "[Alerte] two Bcc: lines"),
    ],
)
def test_a_letter_says_in_its_subject_how_urgent_it_is(alerts: list[tuple[str, str, str]], subject: str) -> None:
    assert write(notification(*alerts)).subject == subject


def test_a_letter_says_what_to_do_and_its_end_asks_for_nothing() -> None:
    text = write(notification(("firing", "critical", "docs : rien chez b"))).text
    assert "Ce pair ne tient rien." in text
    assert "Que faire : https://x/y.md" in text
    sent = notification(("firing", "critical", "docs : rien chez b"))
    sent["alerts"][0]["annotations"]["runbook_url"] = "https://hermitage.demo.internal:9090/user/CopieAbsente.md"
    page = f"https://hermitage.demo.internal{ADDRESS}/fiches/CopieAbsente\n"
    assert f"Que faire : {page}" in write(sent).text, "which people may open"
    ended = write(notification(("resolved", "critical", "docs : rien chez b"))).text
    assert ended.startswith("FIN : docs : rien chez b\n")
    assert "Que faire" not in ended
