"""The table of attacks: one function each, with who may do it and which document says why it leads to nothing.

To add one, write a function of a `Scene` in the module of its role and put `@attack(Role..., "docs/...")` above it:
its name says what is done, and what it gets refused goes through `scene.refused()`. Lies stay until the end of the run
(`scene.lie`). The invariants (`invariants.py`) are looked at after each run, so that no attack asserts anything; with
`says`, played alone it must be refused with this sentence, which shows that it reached what refuses it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.integration.adversary.scene import Role, Scene


@dataclass(frozen=True)
class Attack:
    role: Role
    do: Callable[[Scene], object]
    why: str
    says: str
    name: str

    def __str__(self) -> str:
        return f"{self.role}: {self.name}"


TABLE: list[Attack] = []


def attack[Do: Callable[[Scene], object]](role: Role, why: str, says: str = "", name: str = "") -> Callable[[Do], Do]:
    def add(do: Do) -> Do:
        TABLE.append(Attack(role, do, why, says, name or do.__name__.replace("_", " ")))
        return do

    return add
