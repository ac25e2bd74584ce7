"""The privileged helper of the program that serves: as root, one verb for one service, for callers at its socket.

    python3 -I -S privileged.py

systemd gives the listening socket. A request is one line, {"verb": ..., "service": ..., "node": ...}, and so is the
answer: {} or {"error": ...}. The services, with their addresses and folders, are in a file of root's that comes from
the signed bundle: a caller can start and stop what is served here, end what is not, and nothing else.

A demotion has two seconds, and a busy machine needs half of one to start a closed-in unit: so each request gets a
process of its own by a fork, and the program ends only when nobody has asked for a while.

Invariant: a service that is cut off stays cut off until its address is added. The kernel's filter is set before the
address goes, so that no connection sends a last answer to a client that waits for it.
"""

import contextlib
import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NoReturn

SERVED = "/etc/appliance/served.json"
SERVICE_ROUTES = "/run/appliance/holders"
"""The mesh address at which each address of a service is now, a line each; `appliance internal node mesh` obeys it."""
CGROUPS = "/sys/fs/cgroup/system.slice"
LISTENING = 3
"""The first file descriptor that systemd hands over (sd_listen_fds(3))."""
IDLE_SECONDS = 60.0
REQUEST_SECONDS_MAX = 10.0
REQUEST_BYTES_MAX = 4096
CALL_SECONDS_MAX = 900
"""All that is done at once has its own limit; a share of a million files comes into place in some minutes."""
CALLS_MAX = 64
FULL_SECONDS = 0.1
SECONDS_MAX = 20.0
LAY_SECONDS_MAX = 600.0
"""A million files get their owner within that."""
MESH = "mesh0"
END, REHEARSE = "end", "rehearse"  # verbs for what this node may have no more or the bundle does not describe, too
ENDS_WITHIN_SECONDS = 0.5
READ_ONLY = "appliance-read-only@{}.service"
DATABASE, DOOR, WORK = "database", "appliance-database-door@{}.service", "appliance-database-{}@{}.service"
"""The units of a database besides its own: one listens at its address, the other fills it or keeps what was left."""
SITE = "site"
SHARE, PEOPLE, LAY = "share", "appliance-share-people@{}.service", "appliance-share-lay@{}.service"
AWAY = "appliance-share-away@{}.service"
"""By which PCs around a share's home reach it while it is served elsewhere."""
SERVING = (AWAY, *(f"appliance-{it}@{{}}.service" for it in (SHARE, SITE, "site-copy", DATABASE)))
"""All that people are answered by, whatever a service is."""
TABLE = "ip appliance_served"
# One transaction: tables, sets and chains may be there or not, and rules stand once.
# `shut` are ports at which PCs around this node come to what is also served at an address of its own.
# Both directions: a request that came before is still carried out, after the last backup, and nobody may hear "done".
FILTER = f"""\
add table {TABLE}
add set {TABLE} cut {{ type ipv4_addr; }}
add set {TABLE} held {{ type ipv4_addr; }}
add set {TABLE} shut {{ type inet_service; }}
add chain {TABLE} in {{ type filter hook input priority -20; }}
add chain {TABLE} out {{ type filter hook output priority -20; }}
flush chain {TABLE} in
flush chain {TABLE} out
add rule {TABLE} in ip daddr @cut drop
add rule {TABLE} in iifname != "lo" ip daddr @held drop
add rule {TABLE} in iifname != "lo" iifname != "{MESH}" tcp dport @shut drop
add rule {TABLE} out ip saddr @cut drop
add rule {TABLE} out oifname != "lo" ip saddr @held drop
add rule {TABLE} out oifname != "lo" oifname != "{MESH}" tcp sport @shut drop
"""

Served = Mapping[str, Any]
Run = Callable[..., None]


class Refused(Exception):
    """The request cannot be carried out; the sentence goes to the caller."""


def run(*argv: str, stdin: str = "", may_fail: bool = False, seconds_max: float = SECONDS_MAX) -> None:
    """Carry out `argv`; raise Refused when it fails, unless it `may_fail`."""
    try:
        done = subprocess.run(argv, input=stdin.encode(), capture_output=True, timeout=seconds_max)
        why = done.stderr.decode(errors="replace").strip() if done.returncode else ""
        failed = done.returncode != 0
    except (OSError, subprocess.TimeoutExpired) as error:
        failed, why = True, str(error)
    if failed and not may_fail:
        raise Refused(f"{' '.join(argv[:3])} failed: {why.splitlines()[-1] if why else 'no message'}")


def populated(cgroup: str) -> bool:
    """Whether any process is in the cgroup, or in one below it."""
    try:
        with open(f"{cgroup}/cgroup.events") as file:
            return "populated 1" in file.read()
    except OSError:
        return False


class Helper:
    """Carries out verbs; `run`, `holders` and `cgroups` are other ones in tests."""

    def __init__(self, served: Served, run: Run = run, holders: str = SERVICE_ROUTES, cgroups: str = CGROUPS) -> None:
        self._served = served
        self._run = run
        self._holders = holders
        self._cgroups = cgroups

    def obey(self, request: Mapping[str, Any]) -> None:
        """Do what `request` says; raise Refused when that is not done."""
        name, verb = request.get("service"), request.get("verb")
        service = self._served["services"].get(name) if isinstance(name, str) else None
        if verb in (END, REHEARSE) and isinstance(name, str) and name.replace("-", "").isalnum():
            self._end(name, service) if verb == END else self._begin(REHEARSE, name, "--job-mode=fail")
            return
        if service is None:
            raise Refused("the bundle of this node has no such service with an address.")
        if verb == "wake":  # the next ones come at once
            return
        if verb == "route":
            self._route(service, request.get("node"))
            self._lead_pcs(str(name), service, request.get("node"))
            return
        if not service["here"]:
            raise Refused(f"{name} is not served on this node.")
        of_its_form = {
            DATABASE: {"fill": self._fill, "keep": lambda name, _: self._begin("keep", name)},
            SHARE: {"people": self._wait_for(PEOPLE), "lay": self._wait_for(LAY)},
        }
        does = {
            **of_its_form.get(service["form"], {}),
            "start": self._start,
            "stop": self._stop,
            "read-only": self._set_read_only,
            "writable": self._set_writable,
            # Another copy may lie there since it was started.
            "serve-copy": lambda _, it: self._run("systemctl", "restart", it["copy"]),
            "withdraw-copy": lambda _, it: self._run("systemctl", "stop", it["copy"]),
            "add": self._add,
            "cut": self._cut,
            "hold": self._hold,
            "check-held": self._check_held,
            "resume": self._resume,
            "reset": self._reset,
        }.get(str(verb))
        if does is None:
            raise Refused("this verb does not exist.")
        does(str(name), service)

    def _start(self, name: str, service: Served) -> None:
        if service["form"] == DATABASE and not populated(f"{self._cgroups}/{service['unit']}"):
            self._close_listener(name)
        self._resume(name, service)
        self._set_writable(name, service)
        if not service.get("lan_port"):
            self._run("systemctl", "start", service["unit"])
            return
        with self._listener_of(name):
            self._run("systemctl", "stop", AWAY.format(name))  # which has the port
            self._run("systemctl", "start", service["unit"])

    def _stop(self, name: str, service: Served) -> None:
        filling = [WORK.format("fill", name)] if service["form"] == DATABASE else []
        self._run("systemctl", "stop", service["unit"], *filling)
        if service["form"] == DATABASE:
            self._close_listener(name)

    def _end(self, name: str, service: Served | None) -> None:
        """Whatever of it should not run here: all, or what served it in another form. Its folder stays as it is."""
        here: Served = service if service and service["here"] else {}
        stay = {here["unit"], here["copy"], AWAY.format(name)} if here else set()
        try:
            if service and not here:
                self._cut(name, service)
        finally:
            self._run("systemctl", "stop", *(it for unit in SERVING if (it := unit.format(name)) not in stay))
            if here.get("form") != DATABASE:
                self._close_listener(name)

    def _close_listener(self, name: str) -> None:
        """A frozen unit is not stopped with what it is bound to: systemd tries again some time after it is thawed, and
        would leave what was started meanwhile without a proxy. It stays stopped: what it has to say was not saved."""
        self._run("systemctl", "kill", "--signal=SIGSTOP", DOOR.format(name), may_fail=True)
        self._run("systemctl", "thaw", DOOR.format(name), may_fail=True)
        self._run("systemctl", "stop", DOOR.format(name))

    def _set_read_only(self, name: str, service: Served) -> None:
        if os.path.isdir(service["folder"]):
            self._run("systemctl", "start", READ_ONLY.format(name))

    def _set_writable(self, name: str, service: Served) -> None:
        self._run("systemctl", "stop", READ_ONLY.format(name))

    def _wait_for(self, unit: str) -> Callable[[str, Served], None]:
        return lambda name, _: self._run("systemctl", "start", unit.format(name), seconds_max=LAY_SECONDS_MAX)

    def _add(self, name: str, service: Served) -> None:
        address = service["address"]
        self._let_in(*_doors(service, "cut"))
        self._run("ip", "address", "replace", f"{address}/32", "dev", "lo")

    def _cut(self, name: str, service: Served) -> None:
        address = service["address"]
        leads_away = populated(f"{self._cgroups}/{AWAY.format(name)}")  # then nothing of ours is at the port
        self._keep_out(service, "cut", at_port=not leads_away)
        self._run("ip", "address", "delete", f"{address}/32", "dev", "lo", may_fail=True)
        # Without the kernel's help (CONFIG_INET_DIAG_DESTROY) they end when their program does, a moment later.
        self._run("ss", "--kill", "--tcp", "src", address, may_fail=True)
        if (port := service.get("lan_port")) and not leads_away:
            # Pending answers to PCs would leave once the port is opened to lead them away.
            apart = " ".join(f"and not src {it['address']}" for it in self._served["services"].values())
            self._run("ss", "--kill", "--tcp", f"sport = :{port} {apart}", may_fail=True)

    def _hold(self, name: str, service: Served) -> None:
        self._keep_out(service, "held")
        if service["form"] == SITE:  # who writes into it is on this machine
            self._set_read_only(name, service)
        if service["form"] == DATABASE:  # what it answers from now on may not be in the last dump: nobody hears of it
            self._run("systemctl", "freeze", DOOR.format(name))

    def _check_held(self, name: str, service: Served) -> None:
        """Raise Refused when the filter has forgotten that clients wait: a restart of nftables flushes it all."""
        for door in _doors(service, "held"):
            self._run("nft", f"get element {TABLE} {door}")

    def _resume(self, name: str, service: Served) -> None:
        if service["form"] == SITE:
            self._set_writable(name, service)
        self._let_in(*_doors(service, "held"))
        if service["form"] == DATABASE:
            self._run("systemctl", "thaw", DOOR.format(name), may_fail=True)

    def _fill(self, name: str, service: Served) -> None:
        """Another cluster, from what the program that serves offers."""
        if populated(f"{self._cgroups}/{service['unit']}"):
            raise Refused(f"{name} runs here.")
        self._begin("fill", name)

    def _begin(self, work: str, name: str, *mode: str) -> None:
        """It takes hours, perhaps, and leaves word of how it went. A drill may not end the fill it conflicts with."""
        self._run("systemctl", "restart", "--no-block", *mode, WORK.format(work, name))

    def _reset(self, name: str, service: Served) -> None:
        """A process that no signal ends within half a second hangs in the kernel: then the machine is rebooted."""
        unit = service["unit"]
        self._run("systemctl", "kill", "--kill-whom=all", "--signal=SIGKILL", unit, may_fail=True)
        deadline = time.monotonic() + ENDS_WITHIN_SECONDS
        while populated(f"{self._cgroups}/{unit}"):
            if time.monotonic() > deadline:
                self._run("systemctl", "reboot", "--force")
                return
            time.sleep(0.01)
        self._set_read_only(name, service)

    def _route(self, service: Served, node: object) -> None:
        """Send what is for the service to `node`, one of those that may have it."""
        mesh = service["nodes"].get(node) if isinstance(node, str) else None
        if mesh is None:
            raise Refused("that node is not a candidate for this service.")
        with self._locked(f"{self._holders}.lock"):  # a request that was given up may still be at work beside the next
            try:
                with open(self._holders) as file:
                    before = dict(line.split() for line in file.read().splitlines())
            except (FileNotFoundError, ValueError):
                before = {}
            known = {it["address"] for it in self._served["services"].values()}
            for at in before.keys() - known:  # the bundle gives it to nobody any more
                self._run("ip", "address", "delete", f"{at}/32", "dev", "lo", may_fail=True)
            after = {**{at: to for at, to in before.items() if at in known}, service["address"]: mesh}
            if after != before:
                new = f"{self._holders}.{os.getpid()}"
                with open(new, "w") as file:
                    file.write("".join(f"{at} {to}\n" for at, to in sorted(after.items())))
                os.replace(new, self._holders)
        self._run("systemctl", "reload", "appliance-mesh.service")

    def _lead_pcs(self, name: str, service: Served, node: object) -> None:
        """PCs around a share's origin keep their drive while it is served elsewhere: its closed port is opened, for the
        program that forwards them. A program of the service that still runs here goes first."""
        if not service.get("lan_port") or node == self._served["node"]:
            return
        with self._listener_of(name):
            if populated(f"{self._cgroups}/{service['unit']}"):
                raise Refused(f"{name} still runs here.")
            self._let_in(f"shut {{ {service['lan_port']} }}")
            self._run("systemctl", "start", AWAY.format(name))

    @contextlib.contextmanager
    def _locked(self, path: str) -> Iterator[None]:
        with open(path, "w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _listener_of(self, name: str) -> contextlib.AbstractContextManager[None]:
        """Either the share itself has its port or who leads away from it: one request at a time decides that."""
        return self._locked(f"{self._holders}.{name}.lock")

    def _keep_out(self, service: Served, how: str, *, at_port: bool = True) -> None:
        self._filter(*(f"add element {TABLE} {it}" for it in _doors(service, how, at_port=at_port)))

    def _let_in(self, *doors: str) -> None:
        # Nothing can be deleted that is not there.
        self._filter(*(f"{verb} element {TABLE} {it}" for it in doors for verb in ("add", "delete")))

    def _filter(self, *lines: str) -> None:
        self._run("nft", "--file", "-", stdin=FILTER + "".join(f"{line}\n" for line in lines))


def _doors(service: Served, how: str, *, at_port: bool = True) -> list[str]:
    """Where clients come to `service`, as elements of the filter's sets: `how` its address is kept, "cut" or "held",
    and `at_port`, if it is a share, whether at the port of its building, too."""
    shut = service.get("lan_port") if at_port else 0
    elements = [(how, service["address"]), *([("shut", shut)] if shut else [])]
    return [f"{name} {{ {element} }}" for name, element in elements]


def answer(request: bytes) -> dict[str, str]:
    """Carry `request` out; what to say then."""
    try:
        with open(SERVED) as file:
            helper = Helper(json.load(file))
        helper.obey(json.loads(request))
    except Refused as error:
        return {"error": str(error)}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        return {"error": f"{type(error).__name__}: {error}"}
    return {}


def serve(listening: socket.socket, idle_seconds: float = IDLE_SECONDS) -> None:
    """Answer calls, each in a process of its own so that none waits for another, until nobody calls any more."""
    listening.settimeout(idle_seconds)
    calls: set[int] = set()
    while True:
        try:
            line, _ = listening.accept()
        except TimeoutError:
            line = None
        except OSError:  # there is no room for another call just now
            time.sleep(FULL_SECONDS)
            continue
        _reap(calls)
        if line is None:
            if calls:
                continue
            return
        with line:
            if len(calls) >= CALLS_MAX:
                _say(line, {"error": f"{CALLS_MAX} calls are already in progress."})
                continue
            try:
                pid = os.fork()
            except OSError as error:
                _say(line, {"error": f"no process could be started: {error}"})
                continue
            if pid:
                calls.add(pid)
                continue
            listening.close()
            _call(line)


def _call(line: socket.socket) -> NoReturn:
    """In a child: one request. Whatever hangs ends with the child."""
    signal.alarm(CALL_SECONDS_MAX)
    try:
        line.settimeout(REQUEST_SECONDS_MAX)
        with line.makefile("rb") as file:
            request = file.readline(REQUEST_BYTES_MAX)
        line.settimeout(None)
        _say(line, answer(request))
    except Exception as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
    finally:
        os._exit(0)


def _say(line: socket.socket, words: Mapping[str, str]) -> None:
    with contextlib.suppress(OSError):  # who asked has gone; what it asked for is done all the same
        line.sendall(json.dumps(words).encode() + b"\n")


def _reap(calls: set[int]) -> None:
    while calls and (pid := os.waitpid(-1, os.WNOHANG)[0]):
        calls.discard(pid)


def main() -> int:
    serve(socket.socket(fileno=LISTENING))
    return 0


if __name__ == "__main__":
    sys.exit(main())
