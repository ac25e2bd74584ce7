"""A probe of a share: who answers like Samba is well, and who does not is not waited for."""

from __future__ import annotations

import asyncio
import json
import struct
from pathlib import Path

import pytest

from appliance.failover.forms.host_services import HostServices
from appliance.failover.forms.privileged_client import HelperPaths
from appliance.failover.forms.smb_probe import negotiate, speaks_smb

AGREED = struct.pack("<4sHHIHHIIQIIQ16s", b"\xfeSMB", 64, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, bytes(16))
LENGTH = struct.pack(">I", len(AGREED))


async def asked(answer: bytes | None) -> tuple[bool, bytes]:
    """Whether one who answers `answer` passes, None for one who never does; and what he was asked."""
    heard, ended = b"", asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal heard
        heard = await reader.read(1000)
        if answer is not None:
            writer.write(answer)
            writer.close()
        else:
            await ended.wait()
            writer.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        return await speaks_smb("127.0.0.1", server.sockets[0].getsockname()[1], 0.3), heard
    finally:
        ended.set()
        server.close()
        await server.wait_closed()


@pytest.mark.parametrize(
    ("answer", "well"),
    [
        (LENGTH + AGREED, True),
        (LENGTH + AGREED.replace(struct.pack("<II", 0, 1 << 16), struct.pack("<II", 0xC00000BB, 1 << 16)), False),
        (LENGTH + AGREED.replace(b"\xfeSMB", b"\xffSMB"), False),
        (LENGTH + AGREED[:20], False),
        (b"HTTP/1.0 400 Bad Request\r\n\r\n" * 4, False),
        (b"", False),
        (None, False),
    ],
    ids=["samba", "no version", "version 1", "cut short", "a web server", "hangs up", "is silent"],
)
def test_who_agrees_to_a_version_is_well(answer: bytes | None, well: bool) -> None:
    found, heard = asyncio.run(asked(answer))
    assert found is well
    assert heard == negotiate()


@pytest.mark.parametrize(("address", "asked_at"), [("203.0.113.7", "local_port"), ("127.0.0.1", "port")])
def test_a_share_is_asked_on_loopback_until_its_address_is_here(address: str, asked_at: str, tmp_path: Path) -> None:
    async def run() -> bool:
        server = await asyncio.start_server(agree, "127.0.0.1", 0)
        async with server:
            ports = {"port": 1, "local_port": 1, asked_at: server.sockets[0].getsockname()[1]}
            plan = {
                "form": "share",
                "address": address,
                "folder": "",
                "unit": "",
                "copy": "",
                "here": True,
                "nodes": {},
            }
            (tmp_path / "served.json").write_text(json.dumps({"services": {"docs-a": {**plan, **ports}}}))
            return await HostServices(tmp_path, HelperPaths(served=tmp_path / "served.json")).probe("docs-a")

    assert asyncio.run(run())


async def agree(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(1000)
    writer.write(LENGTH + AGREED)
    writer.close()


def test_where_nobody_listens_nobody_is_well() -> None:
    assert not asyncio.run(speaks_smb("127.0.0.1", 1, 0.3))
