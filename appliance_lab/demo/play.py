"""Play the demo from its first step to its report."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import click

from appliance.errors import WARNINGS, UsageError
from appliance.host.command import COPY_SECONDS_MAX, run
from appliance.host.files import make_private_folder, write_atomic
from appliance.secret import Secret
from appliance.units import MIB, format_bytes, format_count
from appliance_lab.checkers.tree_record import take
from appliance_lab.checkout import appliance_argv
from appliance_lab.corpus import generate
from appliance_lab.demo import account, steps
from appliance_lab.demo.comparable import changed_since, differences, without_changed
from appliance_lab.demo.context import (
    CHANGED,
    ORIGIN,
    SERVICE,
    DemoContext,
    make_context,
    remove_all,
    told,
    told_left_out,
    told_times,
)
from appliance_lab.demo.documents import DOCUMENTS, TERRITORY, check_documents
from appliance_lab.demo.interruption import end_what_is_left
from appliance_lab.demo.kept import check_nobody_plays, is_kept, leave_up, link
from appliance_lab.story import Story, load_story, require

TITLE = "A small territory loses its nodes and gets everything back"
CORPUS_BYTES = 200 * MIB
CORPUS_FILES = 3000
LEFT_OUT = "left-out.json"

type HandOver = Callable[[Secret], None]


def _to_nobody(_paper: Secret) -> None:
    """Where nobody looks, the paper ends with this process, as one in a safe is out of every machine's reach."""


STEPS = (
    ("a territory of four sites", steps.found),
    ("a first backup, safe at two peers", steps.first_backup),
    ("a change and a second backup", steps.second_backup),
    ("a partial backup is told, and filled", steps.partial_backup),
    ("peers are blind", steps.peers_are_blind),
    ("an attacker with all of A's keys", steps.attacker_with_all_keys),
    ("A is lost: one file back by its name", steps.origin_lost),
    ("the standby is lost too: blind peers re-replicate", steps.standby_lost),
    ("a replacement gets everything back", steps.replacement),
)


def play(work: Path, data: Path | None, *, keep: bool, hand_over: HandOver = _to_nobody) -> Story:
    """The whole demo with its report in `work`; as root, the nodes are a plain account's.

    `hand_over` gets the key on the paper of a territory that is kept, when all is played.
    """
    if data is not None:
        check_documents(data, account.FOLDERS if os.geteuid() == 0 else work)
    _check_work(work)
    remove_all(work / TERRITORY)
    if os.geteuid() == 0:
        return _play_as_root(work, data, keep=keep, hand_over=hand_over)
    account.check_shell(account.own_account())
    try:
        documents = data.resolve() if data else make_documents(work)
        return play_steps(work, documents, generated=data is None, keep=keep, hand_over=hand_over)
    finally:
        if not (keep and is_kept(work)):
            for name in (TERRITORY, DOCUMENTS):
                remove_all(work / name)


def _check_work(work: Path) -> None:
    """Raise UsageError unless the demo can work in the folder `work`, with what to type when an earlier one is up."""
    try:
        make_private_folder(work)
    except OSError as error:
        what = f"the demo cannot work here ({error.strerror})."
        raise UsageError(what, where=str(work), remedy="Name another folder with --work.") from error
    if not os.access(work, os.W_OK):
        raise UsageError("this account may not write here.", where=str(work), remedy="Name another folder with --work.")
    check_nobody_plays(work)


def make_documents(work: Path) -> Path:
    """The default documents, made again each time: the demo changes them."""
    folder = (make_private_folder(work) / DOCUMENTS).resolve()
    remove_all(folder)
    click.echo("... making the documents of a town hall", err=True)
    generate(folder, CORPUS_BYTES, CORPUS_FILES, steps.CORPUS_SEED)
    return folder


def play_steps(work: Path, data: Path, *, generated: bool, keep: bool, hand_over: HandOver = _to_nobody) -> Story:
    """Play every step that needs no root in the folder `work`; with `keep` the territory stays up."""
    check_nobody_plays(work)
    context = make_context(make_private_folder(work.resolve()), data, generated=generated)
    made_up = f"made up: {format_bytes(CORPUS_BYTES)} in {CORPUS_FILES:,} files, seed {steps.CORPUS_SEED}"
    story = Story("demo", TITLE, work / "report.json", documents=made_up if generated else str(data))
    try:
        for name, step in STEPS:
            story.step(name, partial(step, context))
        story.write()
        if context.taken:
            write_atomic(context.territory.root / LEFT_OUT, _for_root(context))
    finally:
        if keep:
            leave_up(context)
            if context.paper.key:
                hand_over(context.paper.key)
        else:
            context.territory.stop()
            end_what_is_left()
    return story


def _for_root(context: DemoContext) -> bytes:
    """The facts about the documents that the comparison of root needs."""
    return json.dumps({"left_out": context.left_out, "saved_ns": context.saved_ns}).encode()


def _play_as_root(work: Path, data: Path | None, *, keep: bool, hand_over: HandOver) -> Story:
    plain = account.make_account()
    if data:
        account.check_may_read(plain, data.resolve())
    folder = account.make_demo_folder()
    try:
        account.furnish(folder, plain)
        documents = data.resolve() if data else make_documents(folder)
        if data is None:
            account.give(documents, plain)
            account.add_other_owners(documents)
        arguments = ("--prepared", str(documents), *(() if data else ("--generated",)), *(("--keep",) if keep else ()))
        if (paper := account.play_as(plain, folder, arguments)) is not None:
            hand_over(paper)
        story = load_story(folder / "report.json", TITLE, work / "report.json")
        story.step("owners and devices", partial(_owners, folder, documents))
        story.write()
    finally:
        if keep and is_kept(folder):
            link(work, folder)
        else:
            shutil.rmtree(folder, ignore_errors=True)
    return story


def _owners(folder: Path, documents: Path) -> str:
    """Restored by root from the replacement's repository, owners and devices are the documents' own.

    Root sees more than the account that made the backups: what that one could not read was never promised.
    """
    known = json.loads((folder / TERRITORY / LEFT_OUT).read_bytes())
    left_out: list[str] = known["left_out"]
    to = folder / "with-owners"
    state = folder / "territory" / "nodes" / ORIGIN
    words = ("restore", "all", "--service", SERVICE, "--from", "local", "--to", str(to))
    done = run((*appliance_argv(), "--state", str(state), *words), timeout_seconds=COPY_SECONDS_MAX)
    require(done.exit_code in (0, WARNINGS), f"restore all ended with {done.exit_code}: {done.tail()}")
    before = take(documents, as_root=True, without=left_out)
    changed = changed_since(documents, known["saved_ns"]) if known["saved_ns"] else frozenset[str]()
    before = without_changed(before, changed)
    different = differences(before, take(to / str(documents).lstrip("/"), as_root=True), changed)
    require(
        not different,
        f"{format_count(len(different), 'difference')}, the first: {different[0] if different else ''}",
    )
    owners = {(entry.uid, entry.gid) for entry in before.entries.values()}
    devices = sum(entry.kind in ("char", "block") for entry in before.entries.values())
    return (
        f"{format_count(len(before.entries), 'entry', 'entries')} of {format_count(len(owners), 'owner')} and "
        f"{format_count(devices, 'device')} are identical, restored by root"
        f"{told_left_out(left_out)}{told(changed, CHANGED)}{told_times(before)}"
    )
