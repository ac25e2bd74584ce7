"""The examples on the page of formats are true: our code reads them, and the stock programs say what the page says."""

from __future__ import annotations

import re
import subprocess
from functools import cache
from pathlib import Path

import pytest

from appliance.errors import IntegrityError
from appliance.trust import signed
from appliance.trust.absence import read_absence
from appliance.trust.act import read_act
from appliance.trust.bundle import read_bundle
from appliance.trust.generation import parse_list, read_header
from appliance.trust.grant import read_grant, read_request
from appliance.trust.holder_answer import read_holder_answer
from appliance.trust.receipt import read_receipt
from appliance.trust.release import read_release
from appliance.trust.still.receipt import read_still_receipt
from appliance.trust.still.statement import read_still
from appliance.trust.voted import read_voted
from appliance.trust.voting import Voting
from tests.worlds.typed_pages import shell_blocks

PAGE = Path(__file__).parents[2] / "docs/reference/formats.md"
SIGNED = {
    "bundle": "appliance/bundle",
    "request": "appliance/grant-request",
    "grant": "appliance/grant",
    "release": "appliance/release",
    "held": "appliance/held",
    "header": "appliance/generation",
    "receipt": "appliance/receipt",
    "still": "appliance/still",
    "stillreceipt": "appliance/still-receipt",
    "absence": "appliance/absence",
    "act": "appliance/act",
}

VOTED = "appliance/voted-grant"


@cache
def examples() -> dict[str, bytes]:
    found = re.findall(r"^<!-- example: (\w+) -->\n```text\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    return {name: text.encode() for name, text in found}


@cache
def keys() -> dict[str, str]:
    return dict(re.findall(r"^([A-Z]+)='(ssh-[^']+)'$", PAGE.read_text(), re.MULTILINE))


def test_our_code_reads_every_example_and_they_belong_together() -> None:
    found = examples()
    bundle = read_bundle(found["bundle"], keys()["TERRITORY"])
    request = read_request(found["request"], keys()["WRITER"])
    grant = read_grant(found["grant"], keys()["TERRITORY"])
    header = read_header(found["header"], grant.writer_key)
    receipt = read_receipt(found["receipt"], keys()["HOLDER"])
    entries = parse_list(found["list"], header)
    assert (bundle.member("commune-a").keys.sign, bundle.member("commune-b").keys.sign) == (
        keys()["WRITER"],
        keys()["HOLDER"],
    )
    assert (grant.service, grant.writer, grant.repository) == (request.service, request.writer, request.repository)
    assert receipt.generation == header.id
    assert signed.digest_of(found["grant"]) in {entry.sha256 for entry in entries}
    voters = {"commune-b": keys()["VOTERB"], "commune-c": keys()["VOTERC"], "hermitage": keys()["VOTERH"]}
    voted = read_voted(found["voted"], Voting(voters))
    assert (voted.repository, voted.previous, voted.epoch) == (grant.repository, grant.epoch, 3)
    assert read_release(found["release"], voted.writer_key).epoch == voted.epoch
    assert read_holder_answer(found["held"], voted.writer_key).epoch == voted.epoch
    still = read_still(found["still"], keys()["LATERWRITER"])
    assert still.service == header.service
    assert read_still_receipt(found["stillreceipt"], "commune-b", keys()["LATERHOLDER"], still).holder == "commune-b"
    assert read_absence(found["absence"], {"commune-b": keys()["HOLDER"]}).absent == "commune-a"
    assert read_act(found["act"], bundle.operators).subject == "commune-a"


def test_stock_programs_check_them_as_the_page_says(tmp_path: Path) -> None:
    for name, content in examples().items():
        (tmp_path / name).write_bytes(content)
    script = "".join(shell_blocks(PAGE))
    told = subprocess.run(
        ["sh", "-eu"], input=script, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True
    )
    lines = told.stdout.splitlines()
    types = re.findall(r'^Good "(appliance/[a-z-]+)" signature', told.stdout, re.MULTILINE)
    expected = list(SIGNED.values())
    after_grant = expected.index("appliance/grant") + 1
    assert types == [*expected[:after_grant], VOTED, VOTED, *expected[after_grant:]], "two of three voters signed"
    assert "list: OK" in lines
    receipt = read_receipt(examples()["receipt"], keys()["HOLDER"])
    assert f"{receipt.generation.digest}  header" in lines


@pytest.mark.parametrize(("name", "type_"), SIGNED.items())
def test_a_document_with_one_more_space_in_its_line_is_not_believed(name: str, type_: str) -> None:
    raw = examples()[name]
    assert signed.read(raw, type_, keys().values()).type == type_
    with pytest.raises(IntegrityError, match="does not match its content"):
        signed.read(raw.replace(b'"format": 1,', b'"format": 1 ,'), type_, keys().values())


def test_every_type_that_the_code_signs_has_its_example() -> None:
    modules = (PAGE.parents[2] / "appliance/trust").rglob("*.py")
    assert {*SIGNED.values(), VOTED} == {
        type_ for file in modules for type_ in re.findall(r'TYPE = "(appliance/[a-z-]+)"', file.read_text())
    }
