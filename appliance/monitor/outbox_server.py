"""The queue as a service on a monitoring node: Alertmanager posts to it on loopback, and it delivers.

    python3 -m appliance.monitor.outbox_server SETTINGS FOLDER PORT

SETTINGS is JSON, which holds passwords and belongs to root: `receivers` names the addressees of each receiver, and
`addressees` says what each is: {"url", "token"}, {"apprise"} or {"host", "port", "tls", "user", "password", "from",
"to"}. `alertmanagers` says who is asked for acknowledgements, the one of this node first: {"urls", "tls"}. `duty` is
the roster, where there is one: `duty/plan.py: plan_json`. With it, `pages` is the address of the pages of this node;
each minute it is looked what was acknowledged a day ago and still lasts.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

from appliance import strict_json
from appliance.errors import ApplianceError, NotFound, Unreachable, UsageError
from appliance.monitor import exposition, letter, metrics, post
from appliance.monitor.bounded import Bounded
from appliance.monitor.duty.addressed import Addressed, addressed, is_further, tells_an_end
from appliance.monitor.duty.alertmanager import read_alertmanagers
from appliance.monitor.duty.call_again import CallingAgain, attempt
from appliance.monitor.duty.plan import read_plan
from appliance.monitor.duty.service import Acknowledgements, answer, key_of
from appliance.monitor.duty.tokens import TOKENS
from appliance.monitor.outbox import Outbox
from appliance.monitor.sending.deliveries import Deliveries
from appliance.monitor.sending.trials import Trials, is_trial

LOOPBACK = "127.0.0.1"
BODY_BYTES_MAX = 4 << 20
PER_ADDRESS_MAX = 32
"""All who may ask are on this machine, and have one address."""
LOOK_SECONDS = 1.0
LOOK_AGAIN_SECONDS = 60.0
NO_ROSTER = "there is no roster, so nobody further is called and there is nothing to acknowledge."


class Queue(Bounded):
    """Takes notifications at /RECEIVER, tells how many wait at /metrics, and since when at /waiting, and delivers in a
    thread for each addressee.

    Another one calls again for what was acknowledged."""

    def __init__(self, settings: Mapping[str, Any], folder: Path, port: int) -> None:
        self.settings = settings
        self.outbox = Outbox(folder)
        self.trials = Trials(folder, settings["addressees"], time.time())
        self.duty = _acknowledgements(settings, folder)
        self._came = threading.Event()
        self._ends = threading.Event()
        self._broke: list[BaseException] = []
        super().__init__((LOOPBACK, port), Answer, PER_ADDRESS_MAX)

    def take(self, receiver: str, body: bytes) -> None:
        """Raise ApplianceError or ValueError for what is no notification for a receiver of ours, or none at all."""
        notification = strict_json.loads(body)
        letter.write(notification)
        now = time.time()
        ends = tells_an_end(receiver, notification)
        known = self.duty.known() if self.duty and (ends or is_further(receiver)) else ()
        again = self.duty.called_again() if self.duty and ends else ()
        plan = self.duty.plan if self.duty else None
        for it in addressed(self.settings, plan, receiver, notification, now, known, again):
            made = self.duty.with_link(it, now) if self.duty else it
            self.outbox.put(made.addressees, made.notification, now)
            if not it.addressees:
                say(f"{receiver}: nobody is called: {it.reason}")
        self._came.set()

    def look(self, token: str) -> Mapping[str, Any]:
        """Return what the link of a letter is about. Raise ApplianceError for a forged one, and for no answer."""
        duty = self._served()
        return answer(duty.look(token, time.time()), duty.plan, done=False)

    def acknowledge(self, token: str) -> Mapping[str, Any]:
        """Take care of what the link is about, and tell the others who were called."""
        duty, now = self._served(), time.time()
        told = duty.acknowledge(token, now)
        for it in told.letters:
            self.outbox.put(it.addressees, it.notification, now)
        self._came.set()
        names = ", ".join(it.alert for it in told.verdict.open) or told.verdict.reason or "taken already"
        say(f"acknowledgement of {told.asked.person}: {names}")
        return answer(told, duty.plan, done=True)

    def firing(self) -> Mapping[str, Any]:
        return {"firing": self._served().list(time.time())}

    def _served(self) -> Acknowledgements:
        if self.duty is None:
            raise NotFound(NO_ROSTER)
        return self.duty

    def run(self) -> None:
        """Serve until the delivery ends, and raise what ended it: a queue that never delivers is worse than none."""
        threading.Thread(target=self.serve_forever, daemon=True).start()
        caller = threading.Thread(target=self._call_again_for_ever, daemon=True)
        caller.start()
        try:
            self.deliver_for_ever()
        finally:
            self.shutdown()
            caller.join()
        if self._broke:
            raise self._broke[0]

    def _call_again_for_ever(self) -> None:
        """An error that ends it ends the delivery, too, and is raised there."""
        if self.duty is None:
            return
        calling = CallingAgain(self.duty, self.settings, self._put)
        try:
            while not self._ends.wait(LOOK_AGAIN_SECONDS):
                attempt(calling, time.time(), say)
        except BaseException as error:
            self._broke.append(error)
            self._ends.set()
            raise

    def _put(self, letter: Addressed, now: float) -> None:
        self.outbox.put(letter.addressees, letter.notification, now)
        self._came.set()

    def deliver_for_ever(self) -> None:
        deliveries = Deliveries(self.outbox, self._send, say, _boottime, time.time, self._came.set)
        while not self._ends.is_set():
            deliveries.begin_due()
            self._came.wait(LOOK_SECONDS)
            self._came.clear()
        deliveries.end(post.MAIL_SECONDS_MAX)

    def _send(self, to: str, notification: Mapping[str, Any]) -> None:
        addressees = self.settings["addressees"]
        if to not in addressees:
            raise UsageError(
                "the settings do not describe that receiver.",
                remedy="Add it to the settings, or remove what waits for it.",
            )
        post.send(addressees[to], notification)
        if is_trial(notification):
            self._note_trial(to)

    def _note_trial(self, to: str) -> None:
        """A disk that does not keep the time has alerts of its own; the message was delivered."""
        try:
            self.trials.taken(to, time.time())
        except OSError as error:
            say(f"{to}: took the test message; not noted: {error}")

    def shutdown(self) -> None:
        self._ends.set()
        self._came.set()
        super().shutdown()

    def measures(self) -> bytes:
        found: dict[metrics.Metric, float] = {
            metrics.OUTBOX_WAITING: self.outbox.count(),
            metrics.OUTBOX_ASIDE: self.outbox.count_aside(),
        }
        if oldest := self.outbox.oldest_times():
            found[metrics.OUTBOX_OLDEST] = min(oldest.values())
        samples = [metrics.Sample(it.name, (), value) for it, value in found.items()]
        tried = self.trials.times().items()
        samples += [metrics.Sample(metrics.OUTBOX_TRIAL.name, (to,), value) for to, value in tried]
        return exposition.render((*found, metrics.OUTBOX_TRIAL), samples)


class Answer(BaseHTTPRequestHandler):
    server: Queue

    def do_GET(self) -> None:
        if self.path == "/metrics":
            self._end(200, self.server.measures(), exposition.CONTENT_TYPE)
        elif self.path == "/firing":
            self._tell(self.server.firing)
        elif self.path == "/waiting":
            self._tell(lambda: {"waiting": self.server.outbox.oldest_times()})
        elif self.path.startswith(TOKENS):
            self._tell(partial(self.server.look, self.path.removeprefix(TOKENS)))
        else:
            self._end(404)

    def do_POST(self) -> None:
        if self.path.startswith(TOKENS):
            self._tell(partial(self.server.acknowledge, self.path.removeprefix(TOKENS)))
            return
        size = int(self.headers.get("Content-Length") or 0)
        if not 0 < size <= BODY_BYTES_MAX:
            self._end(413)
            return
        try:
            self.server.take(self.path.lstrip("/"), self.rfile.read(size))
        except (ApplianceError, ValueError) as error:
            self.server.say(f"refused: {error}")
            self._end(400, f"{error}\n".encode(errors="replace"))
        except OSError as error:  # Alertmanager tries again, and its own alert tells
            self.server.say(f"not stored: {error}")
            self._end(503)
        else:
            self._end(200)

    def _tell(self, ask: Callable[[], Mapping[str, Any]]) -> None:
        """The answer of `ask` as JSON; a refusal is an answer, too."""
        try:
            status, told = 200, ask()
        except Unreachable as error:
            status, told = 503, {"what": error.what, "remedy": error.remedy}
        except ApplianceError as error:
            self.server.say(f"refused: {error}")
            status, told = 403, {"what": error.what, "remedy": error.remedy}
        except OSError as error:
            self.server.say(f"not stored: {error}")
            status, told = 503, {"what": str(error), "remedy": ""}
        self._end(status, json.dumps(told).encode(), "application/json")

    def _end(self, status: int, text: bytes = b"", kind: str = "text/plain") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: object) -> None:
        """Write nothing: an event worth a line writes it itself."""


def _acknowledgements(settings: Mapping[str, Any], folder: Path) -> Acknowledgements | None:
    """None without a roster."""
    plan = read_plan(settings.get("duty", {}))
    if plan is None:
        return None
    return Acknowledgements(plan, read_alertmanagers(settings), key_of(folder), str(settings.get("pages", "")))


def _boottime() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def say(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)


def read_settings(file: Path) -> Mapping[str, Any]:
    """The settings in `file`; raise UsageError when a receiver has an addressee that is not described."""
    settings: dict[str, Any] = json.loads(file.read_bytes())
    for receiver, addressees in settings["receivers"].items():
        if unknown := [to for to in addressees if to not in settings["addressees"]]:
            raise UsageError(f'receiver "{receiver}" names {", ".join(unknown)}, not described.', where=str(file))
    plan = read_plan(settings.get("duty", {}))
    for person in plan.persons.values() if plan else ():
        if unknown := [to for to in person.addressees if to not in settings["addressees"]]:
            raise UsageError(f"{person.name} is reached by {', '.join(unknown)}, not described.", where=str(file))
    return settings


def main() -> None:
    settings, folder, port = sys.argv[1:]
    with Queue(read_settings(Path(settings)), Path(folder), int(port)) as queue:
        queue.run()  # an error that ends it is raised, and systemd starts it again


if __name__ == "__main__":
    main()
