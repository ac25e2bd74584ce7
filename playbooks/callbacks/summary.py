"""Ansible callback: after a run, who did not finish and what to type for them; what a machine could not have; the time.

Ansible's own recap counts tasks; it does not say what to do next. Seconds by role stand in place of the callback
profile_roles, which is not part of ansible-core. It speaks French where APPLIANCE_LANGUAGE says so, or else English.
"""

from __future__ import annotations

import os
import shlex
import sys
import time
from collections import defaultdict
from pathlib import Path

from ansible import context
from ansible.plugins.callback import CallbackBase

sys.path.append(str(Path(__file__).resolve().parents[2]))

from appliance.cli.language.choice import ENGLISH, chosen
from appliance.cli.language.sentences import Untranslated, sentences_of

DOCUMENTATION = """
name: summary
type: aggregate
short_description: who did not finish, what to type for them, and how long each role took
description:
  - Printed after Ansible's own recap.
"""

SLOWEST = 12
AGAIN = "requests/again"
"""Beside territory.yml: the playbook that waits for signatures, as it was typed; `cli/territory/again.py` reads it."""
TYPED = ("appliance ", "ansible-playbook ")
"""So begins what is typed, which has no language."""
WHOLE = ("remove_node", "upgrade")
"""Playbooks that are run again as they were typed: what is left is not to be done on the refused node alone."""


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "summary"

    def __init__(self):
        super().__init__()
        self._began = time.monotonic()
        self._seconds = defaultdict(float)
        self._role, self._since = "", self._began
        self._why = {}
        self._whole = False
        self._lines = []

    def v2_playbook_on_start(self, playbook):
        self._whole = Path(playbook._file_name).stem in WHOLE

    def v2_playbook_on_no_hosts_remaining(self):
        # One refusal stopped all of them before anything was done.
        self._whole = True

    def v2_playbook_on_task_start(self, task, is_conditional):
        self._turn_to(task)

    def v2_playbook_on_handler_task_start(self, task):
        self._turn_to(task)

    def v2_runner_on_failed(self, result, ignore_errors=False):
        if not ignore_errors:
            self._why.setdefault(_host(result), f"failed at: {_task(result)}")

    def v2_runner_on_unreachable(self, result):
        # A neighbour that was asked and is off is none of this host's faults.
        if not result.task.ignore_unreachable:
            self._why.setdefault(_host(result), f"could not be reached at: {_task(result)}")

    def v2_playbook_on_stats(self, stats):
        self._turn_to(None)
        self._say_durations()
        self._say_unsupported(stats)
        self._say_next(stats)
        hosts = sorted({*stats.failures, *stats.dark} - {"localhost"})
        if hosts:
            self._say_rerun(hosts)
        for line, color in in_language(self._lines, chosen((), os.environ)):
            self._display.display(line, color=color)

    def _say(self, line, color=None):
        self._lines.append((line, color))

    def _turn_to(self, task):
        now = time.monotonic()
        self._seconds[self._role] += now - self._since
        role = getattr(task, "_role", None)
        self._role, self._since = role.get_name() if role else "", now

    def _say_durations(self):
        roles = sorted(((spent, role) for role, spent in self._seconds.items() if role), reverse=True)
        shown = ", ".join(f"{role} {spent:.1f} s" for spent, role in roles[:SLOWEST])
        self._say(f"Took {time.monotonic() - self._began:.1f} s.{shown and f' By role: {shown}.'}")

    def _say_unsupported(self, stats):
        for host, custom in sorted(stats.custom.items()):
            for sentence in dict.fromkeys((*custom.get("unsupported", []), *custom.get("waiting", []))):
                self._say(f"{host}: {sentence}")

    def _say_next(self, stats):
        lines = dict.fromkeys(line for custom in stats.custom.values() for line in custom.get("next", []))
        self._note_again(stats, lines)
        if lines:
            self._say("Next, the key holder types the lines below; then run this again:")
        for line in lines:
            self._say(f"  {line}")

    def _note_again(self, stats, lines):
        """Leave what was typed beside what waits for a signature: the key holder's command prints it as the next step.
        The same line takes it away once nothing waits."""
        typed = f"{shlex.join(('ansible-playbook', *sys.argv[1:]))}\n"
        for folder in map(Path, () if context.CLIARGS["check"] else context.CLIARGS["inventory"]):
            file = (folder if folder.is_dir() else folder.parent) / AGAIN
            if lines and (file.parents[1] / "territory.yml").exists():
                file.parent.mkdir(exist_ok=True)
                file.write_text(typed)
            elif not stats.failures and not stats.dark and file.exists() and file.read_text() == typed:
                file.unlink()

    def _say_rerun(self, hosts):
        self._say("")
        for host in hosts:
            self._say(f"{host} {self._why.get(host, 'did not finish')}.", "red")
        typed = sys.argv[1:]
        target, words = ("this again", typed) if self._whole else ("for them alone", limited(typed, hosts))
        line = shlex.join(("ansible-playbook", *words))
        self._say(f"After the repair, run {target}:", "red")
        self._say(f"  {line}", "red")


def in_language(lines, language):
    """`lines`, each with its colour, in `language`: all of them, or else in English."""
    if language == ENGLISH:
        return lines
    say = sentences_of(language).say
    try:
        return [(_said(line, say), color) for line, color in lines]
    except Untranslated:
        return lines


def _said(line, say):
    words = line.lstrip()
    return line if not words or words.startswith(TYPED) else f"{line[: -len(words)]}{say(words)}"


def limited(typed, hosts):
    """The words that were typed, for `hosts` alone; what it was limited to before is left out."""
    words, skip = [], False
    for word in typed:
        if not skip and word not in ("-l", "--limit") and not word.startswith("--limit="):
            words.append(word)
        skip = not skip and word in ("-l", "--limit")
    return [*words, "--limit", ",".join(hosts)]


def _host(result):
    return result.host.get_name()


def _task(result):
    return result.task.get_name()
