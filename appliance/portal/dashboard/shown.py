"""How dashboards write what they show: an age, a share, a moment of a chart, a state; what is not known is a word."""

from __future__ import annotations

from dataclasses import dataclass

from appliance.monitor.states import State
from appliance.portal.base.language import FRENCH, Words
from appliance.portal.dashboard.history import WINDOWS
from appliance.units import DAY, HOUR, MINUTE

UNKNOWN = "inconnu"
NAMES: dict[State, str] = {"failed": "en panne", "unknown": UNKNOWN, "warning": "à regarder", "ok": "bien"}
SIGNS: dict[State, str] = {"failed": "✖", "unknown": "?", "warning": "▲", "ok": "✔"}
"""Beside the word and the colour, for who sees few colours."""
UNITS = (("j", DAY), ("h", HOUR), ("min", MINUTE), ("s", 1))
QUESTIONS = {
    "age": ("Âge de la dernière copie sûre", "promis : {promised} au plus"),
    "copies": ("Copies fraîches chez les voisines", "promis : {promised}"),
    "new": ("Données nouvelles à chaque passage", ""),
    "room": ("Place prise chez la voisine la plus pleine", "accordé : {promised}"),
    "drill": ("Durée du test de restauration", "promis : {promised} au plus"),
}
"""Title of each chart, and how its promise is called."""
SPANS = {"mois": "30 jours", "jour": "24 heures"}
SAID = (
    *NAMES.values(),
    *(unit for unit, _ in UNITS),
    *SPANS.values(),
    *(it for pair in QUESTIONS.values() for it in pair if it),
)


@dataclass(frozen=True)
class Shown:
    words: Words

    def state(self, state: State) -> str:
        return self.words.text(NAMES[state])

    def sign(self, state: State) -> str:
        return SIGNS[state]

    def duration(self, seconds: float | None) -> str:
        """Its largest unit and the next one, 3 j 4 h; what is smaller than that says nothing here."""
        if seconds is None:
            return self.words.text(UNKNOWN)
        rest = max(0, round(seconds))
        at = next((number for number, (_, size) in enumerate(UNITS) if rest >= size), len(UNITS) - 1)
        parts: list[str] = []
        for unit, size in UNITS[at : at + 2]:
            count, rest = divmod(rest, size)
            parts += [f"{count}\u00a0{self.words.text(unit)}"] if count or not parts else []
        return " ".join(parts)

    def share(self, share: float | None) -> str:
        if share is None:
            return self.words.text(UNKNOWN)
        percent = self._decimal(100 * share, 1 if 0 < share < 0.1 else 0)
        return f"{percent}\u00a0%" if self.words.language == FRENCH else f"{percent}%"

    def measure(self, value: float | None, unit: str) -> str:
        """23 W, 41 °C."""
        return self.words.text(UNKNOWN) if value is None else f"{self._decimal(value, 0)}\u00a0{unit}"

    def count(self, value: float | None) -> str:
        return self.words.text(UNKNOWN) if value is None else self._decimal(value, 0 if value == int(value) else 1)

    def answer(self, question: str, value: float | None) -> str:
        """A value of the history in its own unit."""
        if value is None:
            return self.words.text(UNKNOWN)
        if question in ("age", "drill"):
            return self.duration(value)
        if question == "new":
            return self.words.size(round(value))
        return self.share(value) if question == "room" else self.count(value)

    def tick(self, window: str, moment: float) -> str:
        """A moment below a chart: 24/11, or the hour where a day is looked at."""
        local = self.words.local(moment)
        if WINDOWS[window].step_seconds < DAY:
            return self.words.hour(moment)
        return f"{local.day}/{local.month:02}" if self.words.language == FRENCH else f"{local.day} {local:%b}"

    def _decimal(self, value: float, digits: int) -> str:
        text = f"{value:.{digits}f}"
        return text.replace(".", ",") if self.words.language == FRENCH else text
