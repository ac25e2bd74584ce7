"""Calls that the product makes beside each other, one after the other."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any


class AtOnce:
    """In the place of a pool of threads: each call is made at once, so that a case can be repeated."""

    def __init__(self, *_: object, **__: object) -> None:
        pass

    def __enter__(self) -> AtOnce:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def map[T, R](self, do: Callable[[T], R], of: list[T]) -> list[R]:
        return [do(it) for it in of]

    def submit[R](self, do: Callable[..., R], *words: Any) -> Future[R]:
        done = Future[R]()
        done.set_result(do(*words))
        return done
