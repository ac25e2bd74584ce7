"""French first, English second. Pages are written in French; English stands beside, by the French sentence."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo

from appliance.units import MINUTE

FRENCH, ENGLISH = "fr", "en"
LANGUAGES = {FRENCH: "Français", ENGLISH: "English"}
_ENGLISH = Path(__file__).parents[1] / "texts" / "en.json"
_DAYS = ("lundi", "mardi", "mercredi", "jeudi", "vendredi", "samedi", "dimanche")
_MONTHS = (
    *("janvier", "février", "mars", "avril", "mai", "juin"),
    *("juillet", "août", "septembre", "octobre", "novembre", "décembre"),
)
_SIZES = ("o", "ko", "Mo", "Go", "To")


@dataclass(frozen=True)
class Words:
    """Texts, dates and sizes in one language and the time zone of the territory."""

    language: str
    zone: ZoneInfo

    def text(self, french: str, **values: object) -> str:
        """The sentence, with `values` put into its braces."""
        sentence = french if self.language == FRENCH else english()[french]
        return sentence.format(**values) if values else sentence

    def count(self, number: int, one: str, many: str) -> str:
        """In French nothing counts as one."""
        single = number < 2 if self.language == FRENCH else number == 1
        return self.text(one if single else many, n=self.number(number))

    def number(self, number: int) -> str:
        # U+202F: the narrow space that French groups digits with.
        return f"{number:,}".replace(",", "\u202f") if self.language == FRENCH else f"{number:,}"

    def day(self, seconds: float) -> str:
        """mardi 24 novembre 2026"""
        local = self.local(seconds)
        day = "1er" if local.day == 1 and self.language == FRENCH else str(local.day)
        return f"{self.text(_DAYS[local.weekday()])} {day} {self.text(_MONTHS[local.month - 1])} {local.year}"

    def month(self, year: int, month: int) -> str:
        return f"{self.text(_MONTHS[month - 1])} {year}"

    def hour(self, seconds: float, exact: bool = False) -> str:
        """8 h 05, or 8 h 05 min 12 s when `exact`"""
        local = self.local(seconds)
        if self.language != FRENCH:
            return f"{local:%H:%M:%S}" if exact else f"{local:%H:%M}"
        after = f"\u00a0min\u00a0{local.second:02}\u00a0s" if exact else ""
        return f"{local.hour}\u00a0h\u00a0{local.minute:02}{after}"

    def moment(self, seconds: float, exact: bool = False) -> str:
        """mardi 24 novembre 2026 à 8 h 05"""
        return self.text("{day} à {hour}", day=self.day(seconds), hour=self.hour(seconds, exact))

    def share_a_minute(self, times: Iterable[float]) -> bool:
        """Whether two of `times` read alike unless they are `exact`."""
        minutes = [seconds // MINUTE for seconds in times]
        return len(set(minutes)) < len(minutes)

    def size(self, size: int) -> str:
        value, unit = float(size), 0
        while value >= 1000 and unit < len(_SIZES) - 1:
            value, unit = value / 1000, unit + 1
        digits = f"{value:.0f}" if unit == 0 or value >= 100 else f"{value:.1f}"
        return f"{digits.replace('.', ',' if self.language == FRENCH else '.')}\u00a0{self.text(_SIZES[unit])}"

    def local(self, seconds: float) -> datetime:
        return datetime.fromtimestamp(seconds, self.zone)


@cache
def english() -> dict[str, str]:
    """Every French text of the pages with its English one."""
    texts: dict[str, str] = json.loads(_ENGLISH.read_text())
    return texts


def choose(wanted: str) -> str:
    """French, unless somebody asked for another language that we have."""
    return wanted if wanted in LANGUAGES else FRENCH
