"""The data volume of a node, at /srv: look, decide, act. Sent to the node before anything of ours is installed there.

Invariant: nothing that lies on a disk is lost by this program. A disk is formatted only when it is blank to the last
sample that was read, or when `erase` names that very disk by its id. A volume of ours is never formatted again,
whatever `erase` says: the variable may still stand in the inventory on the day when the volume does not open. The label
that makes an encrypted volume ours is written last: a run that was cut leaves a disk on which nothing was saved yet.

One argument, JSON: mode ("look" or "apply"), disk, erase, encryption ("luks" or "none"), unlock ("tpm2" or "tang"),
tang (url and thp of each server), threshold, subvolumes. The answer is one line of JSON; a refusal is a sentence and
exit code 1.
"""

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

PLACE, NAME, MAPPER = "/srv", "srv", "/dev/mapper/srv"
LABEL, UNFINISHED = "appliance-srv", "appliance-new"
BY_ID = "/dev/disk/by-id/"
SAMPLE, SAMPLES = 1 << 20, 64
CRYPTTAB, FSTAB = Path("/etc/crypttab"), Path("/etc/fstab")
NOTE = Path("/etc/appliance/storage")  # what `appliance status` says of it
SUBVOLUME_INODE = 256
CHIP = Path("/sys/class/tpm/tpm0/tpm_version_major")
NO_DISK = "00000000-0000-0000-0000-000000000000"
GENERATORS = "/usr/lib/systemd/system-generators"
BEGIN, END = "# BEGIN data volume of the appliance", "# END data volume of the appliance"


class Refusal(Exception):
    """A sentence for a person: what, where, what to do."""


@dataclass(frozen=True)
class Disk:
    """The asked disk or partition. `holds` names what lies on it, `used` where it or a part of it is in use."""

    path: str
    size: int
    holds: tuple[str, ...] = ()
    used: tuple[str, ...] = ()
    label: str = ""
    luks: bool = False


@dataclass(frozen=True)
class Seen:
    """`source` of what is at /srv; `own`: mounted just there. `chip`: a TPM 2.0. `elsewhere`: a disk open as MAPPER."""

    own: bool
    source: str
    fstype: str
    room: int
    empty: bool
    encrypted: bool
    mapper: bool
    container: bool
    chip: bool
    elsewhere: str = ""
    disk: Disk | None = None
    ids: tuple[str, ...] = ()


@dataclass(frozen=True)
class Decision:
    """`do`: "keep" what is at /srv, "make" a volume, "reopen" one of ours that is not there now."""

    do: str
    encryption: str
    why: str = ""
    erase: bool = False
    room: int = field(default=0)


def decide(asked, seen):
    """The Decision; raise Refusal."""
    if asked["encryption"] == "luks" and not seen.mapper:
        if seen.container:
            return Decision("keep", "unsupported", "a container has no device-mapper", room=seen.room)
        raise Refusal("this kernel has no device-mapper: nothing can be encrypted. Boot Debian's own kernel.")
    return _on_disk(asked, seen) if asked["disk"] else _as_it_is(asked, seen)


def _as_it_is(asked, seen):
    if asked["encryption"] == "luks" and not seen.encrypted:
        raise Refusal(
            f"{PLACE} is not encrypted. Name the disk or partition for it in storage_disk, as {BY_ID}...; there are: "
            f"{', '.join(seen.ids) or 'none'}. To do without, say storage_encryption: none."
        )
    return Decision("keep", "luks" if seen.encrypted else "none", room=seen.room)


def _on_disk(asked, seen):
    name, disk = asked["disk"], seen.disk
    if not name.startswith(BY_ID):
        raise Refusal(f"storage_disk is {name}; such names change from boot to boot. Write one of {BY_ID}")
    if disk is None:
        raise Refusal(f"there is no {name}; there are: {', '.join(seen.ids) or 'none'}.")
    if PLACE in disk.used:
        if asked["encryption"] == "luks" and not seen.encrypted:
            raise Refusal(f"{PLACE} lies on {name}, not encrypted. docs/how-to/disks.md says how to start over.")
        return Decision("keep", "luks" if seen.encrypted else "none", room=seen.room)
    if disk.used:
        raise Refusal(f"{name} is in use: {', '.join(disk.used)}. Name another disk.")
    if seen.own or not seen.empty:
        there = f"is {seen.source}" if seen.own else "holds files on the system's disk"
        raise Refusal(f"{PLACE} {there} already. Move that away first: docs/how-to/disks.md")
    if seen.elsewhere:
        close = f"systemctl stop systemd-cryptsetup@{NAME} (docs/how-to/disks.md)"
        raise Refusal(f"{seen.elsewhere} is still open as {MAPPER}. Close it first: {close}")
    if disk.label == LABEL:
        if disk.luks != (asked["encryption"] == "luks"):
            kind = "encrypted" if disk.luks else "not encrypted"
            raise Refusal(f"{name} is a volume of ours that is {kind}; storage_encryption says otherwise.")
        return Decision("reopen", asked["encryption"], room=disk.size)
    if disk.holds and disk.label != UNFINISHED and asked["erase"] != name:
        raise Refusal(f"{name} holds {', '.join(disk.holds)}. To lose all of it for ever, say storage_erase: {name}")
    if asked["encryption"] == "luks" and asked["unlock"] == "tpm2" and not seen.chip:
        why = "this machine has no TPM 2.0 that would open its disk. Switch it on in the firmware (TPM, PTT or fTPM)"
        raise Refusal(f"{why}, or say storage_unlock: tang and who helps in storage_tang_servers: docs/how-to/disks.md")
    return Decision("make", asked["encryption"], erase=bool(disk.holds), room=disk.size)


def look(asked):
    exact = _found("--mountpoint", PLACE)
    at = exact or _found("--target", PLACE) or {}
    source = (at.get("source") or "").partition("[")[0]
    return Seen(
        own=exact is not None,
        source=source,
        fstype=at.get("fstype") or "",
        room=int(at.get("size") or 0),
        empty=holds_nothing(PLACE),
        encrypted=_on_crypt(source),
        mapper=_mapper(),
        container=subprocess.run(("systemd-detect-virt", "-cq"), check=False).returncode == 0,
        chip=CHIP.exists() and CHIP.read_text().strip() == "2",
        elsewhere=_open_elsewhere(asked["disk"]),
        disk=_disk(asked["disk"]) if asked["disk"] else None,
        ids=tuple(sorted(map(str, Path(BY_ID).glob("*")))),
    )


def holds_nothing(place):
    """Whether there are at most empty folders in `place`: before a volume is mounted systemd-tmpfiles makes some."""
    return not os.path.isdir(place) or not _run("find", "-H", place, "!", "-type", "d", "-print", "-quit")


def _found(*how):
    argv = ("findmnt", "--json", "--bytes", "--first-only", "--output", "SOURCE,FSTYPE,SIZE", *how)
    done = subprocess.run(argv, capture_output=True, check=False)
    return json.loads(done.stdout)["filesystems"][0] if done.returncode == 0 else None


def _on_crypt(source):
    argv = ("lsblk", "--json", "--inverse", "--output", "TYPE", source)
    done = subprocess.run(argv, capture_output=True, check=False)
    return done.returncode == 0 and '"crypt"' in done.stdout.decode()


def _open_elsewhere(name):
    if not os.path.exists(MAPPER):
        return ""
    under = _run("lsblk", "--list", "--noheadings", "--inverse", "--output", "PATH", MAPPER).split()
    return "" if os.path.realpath(name) in map(os.path.realpath, under) else under[:2][-1]


def _mapper():
    subprocess.run(("modprobe", "-q", "dm-crypt"), check=False, stderr=subprocess.DEVNULL) if _has("modprobe") else None
    return " device-mapper\n" in Path("/proc/misc").read_text()


def _has(program):
    return any(os.access(f"{folder}/{program}", os.X_OK) for folder in ("/usr/sbin", "/usr/bin", "/sbin", "/bin"))


def _disk(name):
    path = os.path.realpath(name)
    if not Path(path).is_block_device():
        return None
    columns = "PATH,TYPE,FSTYPE,LABEL,MOUNTPOINTS,SIZE,PTTYPE"
    tree = json.loads(_run("lsblk", "--json", "--bytes", "--output", columns, path))["blockdevices"][0]
    parts = list(_parts(tree))
    signatures = json.loads(_run("wipefs", "--no-act", "--json", path) or '{"signatures": []}')["signatures"]
    holds = [sign["type"] for sign in signatures] + [f"the {part['type']} {part['path']}" for part in parts[1:]]
    label = next((sign["label"] for sign in signatures if sign.get("label")), "")
    if not holds and not _blank(path, tree["size"]):
        holds = ["bytes that are no file system known here"]
    return Disk(
        path,
        int(tree["size"]),
        tuple(dict.fromkeys(holds)),
        tuple(where for part in parts for where in part["mountpoints"] if where),
        label,
        any(sign["type"] == "crypto_LUKS" for sign in signatures),
    )


def _parts(tree):
    yield tree
    for child in tree.get("children", ()):
        yield from _parts(child)


def _blank(path, size):
    """Whether the first and last MiB and samples between hold zeros only, as new and trimmed disks do."""
    with open(path, "rb") as disk:
        for number in range(SAMPLES):
            disk.seek(max(0, (size - SAMPLE) * number // (SAMPLES - 1)))
            if disk.read(SAMPLE).strip(b"\0"):
                return False
    return True


def tables(asked, uuid):
    """The lines for crypttab and fstab. Without its disk a node still boots and answers: nofail."""
    late = "_netdev," if asked["unlock"] == "tang" and asked["encryption"] == "luks" else ""
    if asked["encryption"] != "luks":
        return "", f"UUID={uuid} {PLACE} btrfs noatime,nofail 0 0"
    token = "tpm2-device=auto," if asked["unlock"] == "tpm2" else ""
    crypttab = f"{NAME} UUID={uuid} none luks,{late}{token}nofail,discard"
    return crypttab, f"{MAPPER} {PLACE} btrfs noatime,{late}nofail 0 0"


def check_tables(crypttab, fstab):
    """Have systemd's own generators make units of the lines and verify these; raise Refusal with what they say."""
    with tempfile.TemporaryDirectory() as folder:
        names = {"SYSTEMD_CRYPTTAB": f"{folder}/crypttab", "SYSTEMD_FSTAB": f"{folder}/fstab"}
        Path(folder, "crypttab").write_text(crypttab + "\n")
        Path(folder, "fstab").write_text(fstab + "\n")
        units = Path(folder, "units")
        units.mkdir()
        said = ""
        for generator in ("systemd-cryptsetup-generator", "systemd-fstab-generator"):
            argv = (f"{GENERATORS}/{generator}", units, units, units)
            env = {**os.environ, **names, "SYSTEMD_LOG_LEVEL": "warning", "SYSTEMD_LOG_TARGET": "console"}
            if generator.startswith("systemd-fstab") or crypttab:
                said += subprocess.run(argv, env=env, capture_output=True, check=True).stderr.decode()
        made = sorted(map(str, (*units.glob("*.mount"), *units.glob("*.service"))))
        # In a container systemd leaves mounts of devices out, which it knows by a /sys that cannot be written.
        mounts = 0 if os.statvfs("/sys").f_flag & os.ST_RDONLY else 1
        # In a dry run the device is absent: systemd's warnings about it and about man pages are not mistakes.
        argv = ("systemd-analyze", "verify", "--man=no", "--recursive-errors=no", *made)
        verified = subprocess.run(argv, capture_output=True, check=False)
        if said or (made and verified.returncode) or len(made) != mounts + bool(crypttab):
            raise Refusal(f"systemd does not take {crypttab!r} and {fstab!r}: {said}{verified.stderr.decode()}")
    return [os.path.basename(unit) for unit in made]


def act(asked, decision, seen):
    """Carry `decision` out; what was changed, one line each."""
    if decision.do == "keep":
        return []
    disk, changed = seen.disk.path, []
    if decision.do == "make":
        if decision.erase:
            _erase(disk)
        _make_luks(asked, disk) if decision.encryption == "luks" else _make_btrfs(disk)
        changed.append(f"made the data volume on {asked['disk']}")
    lines = tables(asked, _run("blkid", "-o", "value", "-s", "UUID", disk).strip())
    check_tables(*lines)
    for path, line in zip((CRYPTTAB, FSTAB), lines, strict=True):
        changed += [f"wrote {path}"] if _put(path, line) else []
    _run("systemctl", "daemon-reload")
    _run("systemctl", "start", f"{NAME}.mount")
    return [*changed, f"mounted {PLACE}"]


def _erase(disk):
    if os.path.exists(MAPPER):
        _run("cryptsetup", "close", NAME)
    parts = _run("lsblk", "--list", "--noheadings", "--output", "PATH", disk).split()
    for part in reversed(parts):
        _run("wipefs", "--all", part)


def _make_btrfs(device):
    _run("mkfs.btrfs", "-q", "--label", LABEL, device)


def _make_luks(asked, disk):
    """Format, enrol what opens it at boot, prove that, make the file system, and only then throw the first key away."""
    key = os.urandom(64).hex().encode()
    fd = os.memfd_create("key")
    os.write(fd, key)
    kept = f"/proc/self/fd/{fd}"
    _run("cryptsetup", "luksFormat", "--batch-mode", "--type", "luks2", "--label", UNFINISHED, disk, kept, fds=(fd,))
    enrol(asked, disk, kept, fd)
    check_unlocks(asked, disk)
    _run("cryptsetup", "open", "--type", "luks2", "--key-file", kept, disk, NAME, fds=(fd,))
    _make_btrfs(MAPPER)
    _run("cryptsetup", "config", disk, "--label", LABEL)
    _run("cryptsetup", "luksKillSlot", "--batch-mode", disk, "0")
    os.close(fd)


def enrol(asked, disk, kept, fd):
    if asked["unlock"] == "tpm2":
        device = asked.get("tpm2_device") or "auto"
        words = ("--tpm2-pcrs=7", f"--unlock-key-file={kept}", f"--tpm2-device={device}")
        _run("systemd-cryptenroll", *words, disk, fds=(fd,))
    else:
        pins = {"t": asked["threshold"], "pins": {"tang": asked["tang"]}}
        _run("clevis", "luks", "bind", "-k", kept, "-d", disk, "sss", json.dumps(pins), fds=(fd,))


def check_unlocks(asked, disk):
    """Open it as at boot, without the first key, and throw the answer away; raise Refusal when that does not work."""
    if asked["unlock"] == "tpm2":
        _run("cryptsetup", "open", "--test-passphrase", "--token-only", disk)
    else:
        _run("clevis", "luks", "pass", "-d", disk, "-s", "1")


def has_paper(disk):
    """Whether a recovery key was made for it; None when it is not encrypted."""
    done = subprocess.run(("cryptsetup", "luksDump", "--dump-json-metadata", disk), capture_output=True, check=False)
    if done.returncode != 0:
        return None
    tokens = json.loads(done.stdout)["tokens"].values()
    return any(token["type"] == "systemd-recovery" for token in tokens)


def make_subvolumes(paths):
    """Make each of `paths` a subvolume where it is nothing yet, or an empty folder; the lines of what changed."""
    changed = []
    for path in filter(_lacks, paths):
        if os.path.exists(path):
            os.rmdir(path)
        _run("btrfs", "subvolume", "create", path)
        changed.append(f"made the subvolume {path}")
    return changed


def _lacks(path):
    """Whether `path` is nothing yet, or an empty folder that is no subvolume."""
    if not os.path.exists(path):
        return True
    return os.path.isdir(path) and not os.listdir(path) and os.stat(path).st_ino != SUBVOLUME_INODE


def plain(paths):
    """Those of `paths` that are folders with something in them and no subvolumes: of these there are no snapshots."""
    return [path for path in paths if os.path.isdir(path) and os.stat(path).st_ino != SUBVOLUME_INODE]


def _put(path, line):
    """Make `line` our block of `path`; whether that changed it."""
    old = path.read_text() if path.exists() else ""
    before, found, rest = old.partition(f"{BEGIN}\n")
    after = rest.partition(f"{END}\n")[2] if found else ""
    block = f"{BEGIN}\n{line}\n{END}\n" if line else ""
    return _write(path, before + ("" if before.endswith("\n") or not before else "\n") + block + after)


def _write(path, text):
    """Make `text` the content of `path`, whole or not at all; whether that changed it."""
    if (path.read_text() if path.exists() else "") == text:
        return False
    path.parent.mkdir(exist_ok=True)
    beside = path.with_name(f"{path.name}.appliance-new")
    beside.write_text(text)
    beside.chmod(0o644)
    beside.rename(path)
    return True


def _run(*argv, fds=()):
    done = subprocess.run(argv, capture_output=True, check=False, pass_fds=fds, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        said = (done.stderr or done.stdout).decode(errors="replace").strip()
        raise Refusal(f"{argv[0]} {argv[1]} ended with {done.returncode}: {said}")
    return done.stdout.decode()


def answer(asked):
    seen = look(asked)
    decision = decide(asked, seen)
    found = {"do": decision.do, "encryption": decision.encryption, "why": decision.why, "room": decision.room}
    if asked["mode"] == "apply":
        return {**found, **_applied(asked, decision, seen)}
    return {**found, "due": _is_due(asked, decision), "changed": [], **_standing(asked, decision)}


def _is_due(asked, decision):
    """Whether `apply` would do anything, or prove anything that no earlier run proved on this machine."""
    noted = NOTE.exists() and NOTE.read_text() == _note(asked, decision)
    lacking = _on_btrfs() and any(_lacks(path) for path in asked["subvolumes"])
    return decision.do != "keep" or not noted or lacking


def _applied(asked, decision, seen):
    units = check_tables(*tables(asked, NO_DISK)) if decision.encryption == "unsupported" else []
    changed = act(asked, decision, seen)
    changed += make_subvolumes(asked["subvolumes"]) if _on_btrfs() else []
    changed += [f"wrote {NOTE}"] if _write(NOTE, _note(asked, decision)) else []
    return {"checked": units, "changed": changed, **_standing(asked, decision)}


def _standing(asked, decision):
    """How the volume is, whatever was done."""
    btrfs = _on_btrfs()
    ours = asked["disk"] and decision.encryption == "luks"
    paper = has_paper(os.path.realpath(asked["disk"])) if ours else None
    return {"paper": paper, "btrfs": btrfs, "plain": plain(asked["subvolumes"]) if btrfs else []}


def _on_btrfs():
    return (_found("--target", PLACE) or {}).get("fstype") == "btrfs"


def _note(asked, decision):
    """The line that `appliance status` reads."""
    unlock = asked["unlock"] if asked["disk"] else "as installed"
    return json.dumps({"encryption": decision.encryption, "unlock": unlock, "why": decision.why}) + "\n"


if __name__ == "__main__":
    try:
        print(json.dumps(answer(json.loads(sys.argv[1]))))
    except Refusal as refusal:
        sys.exit(str(refusal))
