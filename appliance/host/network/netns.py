"""Named network namespaces, by `ip`: one process carries out many lines in one namespace."""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

from appliance.host.command import run

FOLDER = Path("/run/netns")
TIMEOUT_SECONDS = 30.0


def names() -> frozenset[str]:
    """Every named namespace of this machine."""
    return frozenset(path.name for path in FOLDER.iterdir()) if FOLDER.is_dir() else frozenset()


def add(name: str) -> None:
    run(("ip", "netns", "add", name), timeout_seconds=TIMEOUT_SECONDS, check=True)


def delete(name: str) -> None:
    """Take the name away; the kernel ends the namespace and its interfaces when no process is left in it. With the last
    name goes the mount that `ip` makes for the first one, unless it is used."""
    run(("ip", "netns", "delete", name), timeout_seconds=TIMEOUT_SECONDS, check=True)
    if not names():
        run(("umount", str(FOLDER)), timeout_seconds=TIMEOUT_SECONDS)


def is_whole(name: str) -> bool:
    """Whether `name` stands for a namespace: `ip netns add`, killed between two steps, leaves an empty file."""
    try:
        return (FOLDER / name).stat().st_dev != FOLDER.stat().st_dev
    except FileNotFoundError:
        return False


def pids(name: str) -> Iterator[int]:
    """The processes in the namespace `name`; none when there is no such namespace."""
    with contextlib.suppress(FileNotFoundError):
        wanted = (FOLDER / name).stat().st_ino
        for link in Path("/proc").glob("[0-9]*/ns/net"):
            with contextlib.suppress(OSError):
                if link.stat().st_ino == wanted:
                    yield int(link.parts[2])


def batch(namespace: str | None, lines: Iterable[str]) -> None:
    """Carry out `lines` of `ip` (without that word) in `namespace`, in this machine's own for None; stop at errors."""
    _batch("ip", namespace, lines)


def batch_tc(namespace: str, lines: Iterable[str]) -> None:
    """The same for lines of `tc`."""
    _batch("tc", namespace, lines)


def show(namespace: str | None, *words: str) -> list[dict[str, Any]]:
    """Return the answer of `ip -json WORDS` in `namespace`."""
    where = () if namespace is None else ("-n", namespace)
    result = run(("ip", "-json", *where, *words), timeout_seconds=TIMEOUT_SECONDS, check=True)
    return cast("list[dict[str, Any]]", json.loads(result.stdout or b"[]"))


def queue(namespace: str, interface: str) -> str:
    """The kind of queue at which packets leave `interface`, "tbf" or "netem" when one was put there."""
    argv = ("tc", "-n", namespace, "-json", "qdisc", "show", "dev", interface, "root")
    found = json.loads(run(argv, timeout_seconds=TIMEOUT_SECONDS, check=True).stdout or b"[]")
    return str(found[0].get("kind", "")) if found else ""


def inside(namespace: str, argv: Iterable[str]) -> tuple[str, ...]:
    """The command line that runs `argv` in `namespace`."""
    return ("ip", "netns", "exec", namespace, *argv)


def connect(namespace: str, address: str, port: int, seconds_max: float) -> socket.socket:
    """A TCP connection to `address` as seen from `namespace`; raise OSError when there is none.

    A socket stays in the namespace where it was made.
    """
    return within(namespace, lambda: socket.create_connection((address, port), seconds_max))


def within[Answer](namespace: str | None, work: Callable[[], Answer]) -> Answer:
    """Return the answer of `work` when it runs in `namespace`; here for None.

    A thread stays in the namespace that it went to, so this is done by one that ends then.
    """
    if namespace is None:
        return work()
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(_within, namespace, work).result()


def set_sysctl(namespace: str, name: str, value: str) -> None:
    """Write `value` to /proc/sys/NAME as `namespace` sees it."""
    argv = inside(namespace, ("tee", f"/proc/sys/{name}"))
    run(argv, timeout_seconds=TIMEOUT_SECONDS, stdin=value.encode(), check=True)


def _within[Answer](namespace: str, work: Callable[[], Answer]) -> Answer:
    with open(FOLDER / namespace) as folder:
        os.setns(folder.fileno(), os.CLONE_NEWNET)
    return work()


def _batch(program: str, namespace: str | None, lines: Iterable[str]) -> None:
    text = "".join(f"{line}\n" for line in lines)
    if not text:
        return
    where = () if namespace is None else ("-n", namespace)
    run((program, *where, "-batch", "-"), timeout_seconds=TIMEOUT_SECONDS, stdin=text.encode(), check=True)
