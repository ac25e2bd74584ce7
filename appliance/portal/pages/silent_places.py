"""The places of published sites that did not answer. They are asked again in the background, so that no visitor waits.

One thread asks while any place is silent, and ends with the last one. It ends, and another starts, only while `_lock`
is held, so that no place is added to a thread that has just ended.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

Place = tuple[str, int]
"""An address and a port."""
AGAIN_SECONDS = 10.0


class SilentPlaces:
    """Each of `places` is passed over until `answers` says that somebody is there."""

    def __init__(self, answers: Callable[[Place], bool], again_seconds: float = AGAIN_SECONDS) -> None:
        self._answers = answers
        self._again_seconds = again_seconds
        self._places: set[Place] = set()
        self._lock = threading.Lock()
        self._asks = False

    def __contains__(self, place: Place) -> bool:
        return place in self._places

    def add(self, place: Place) -> None:
        """Pass `place` over from now on."""
        with self._lock:
            self._places.add(place)
            if not self._asks:
                self._asks = True
                threading.Thread(target=self._ask_again, name="silent-places", daemon=True).start()

    def _ask_again(self) -> None:
        wait = threading.Event()
        while self._goes_on():
            wait.wait(self._again_seconds)
            for place in tuple(self._places):
                if self._answers(place):
                    self._places.discard(place)

    def _goes_on(self) -> bool:
        with self._lock:
            self._asks = bool(self._places)
            return self._asks
