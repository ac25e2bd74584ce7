"""A restore that is cut after so many changes of the disk."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest


class Cut(BaseException):
    """The machine stops here."""


def cut_after(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def cut() -> None:
        raise Cut

    at_change(monkeypatch, number + 1, cut, for_ever=True)


def at_change(
    monkeypatch: pytest.MonkeyPatch, number: int, event: Callable[[], None], *, for_ever: bool = False
) -> Callable[[], int]:
    """Have `event` happen before the change `number` of the disk, and before each later one when `for_ever`; what is
    returned says how many changes there were."""
    done = 0

    def counted(original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            nonlocal done
            done += 1
            if done == number or (for_ever and done > number):
                event()
            return original(*args, **kwargs)

        return call

    for name in ("rename", "link", "unlink", "rmdir", "mkdir", "fsync"):
        monkeypatch.setattr(os, name, counted(getattr(os, name)))
    return lambda: done


def until_it_ends(action: Callable[[], object], monkeypatch: pytest.MonkeyPatch, step: int) -> Iterator[None]:
    """Run `action` cut after `step` changes of the disk, then after `step` more, ... until one run ends."""
    for number in range(step, 1000, step):
        with monkeypatch.context() as patch:
            cut_after(patch, number)
            try:
                action()
            except Cut:
                yield
            else:
                return
    raise AssertionError("it never ends")
