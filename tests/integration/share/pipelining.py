"""A PC that does not wait for one answer before it asks the next: many writes on one connection, as big copies make.

    /usr/bin/python3 pipelining.py SERVER SHARE NAME FILE MILLISECONDS    (the password comes by its input)

Each write is a record of its own number, at its own place in FILE. The number of each that the server said is done is
printed at once, one a line; the program ends when the server answers nothing for so many milliseconds.
"""

from __future__ import annotations

import itertools
import sys
import threading

RECORD_BYTES = 64
AT_ONCE = 32
WRITE, CREATE = 0x0012_0116, 5  # FILE_GENERIC_WRITE, FILE_OVERWRITE_IF


def record(number: int) -> bytes:
    return f"{number:0{RECORD_BYTES - 1}}\n".encode()


def numbers(kept: bytes) -> set[int]:
    """Those whose record is in `kept`; what was not written between them is zeros."""
    records = (kept[at : at + RECORD_BYTES] for at in range(0, len(kept), RECORD_BYTES))
    return {int(it) for it in records if it.strip(b"\0\n")}


def main(server: str, share: str, name: str, file: str, milliseconds: str) -> None:
    from samba import credentials, param
    from samba.samba3 import libsmb_samba_internal
    from samba.samba3 import param as of_smbd

    settings, who = of_smbd.get_context(), credentials.Credentials()
    settings.load_default()
    who.guess(param.LoadParm())
    who.set_username(name)
    who.set_password(sys.stdin.readline().strip())
    line = libsmb_samba_internal.Conn(server, share, lp=settings, creds=who, multi_threaded=True)
    line.settimeout(int(milliseconds))
    opened = line.create(file, DesiredAccess=WRITE, CreateDisposition=CREATE)
    count, printing = itertools.count(), threading.Lock()

    def write() -> None:
        for number in count:
            try:
                line.write(opened, record(number), number * RECORD_BYTES)
            except Exception:  # whatever it is: no answer came
                return
            with printing:
                print(number, flush=True)

    threads = [threading.Thread(target=write) for _ in range(AT_ONCE)]
    for it in threads:
        it.start()
    for it in threads:
        it.join()


if __name__ == "__main__":
    main(*sys.argv[1:])
