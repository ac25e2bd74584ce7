"""The page of a report shows what the report says, in colours that a browser understands, and nothing else."""

from __future__ import annotations

import re

from appliance_lab.story_page import STYLE, render_page

REPORT = {
    "verdict": "violated",
    "started_at": "2026-11-25T08:00:00Z",
    "version": "0.1.0",
    "commit": "",
    "documents": "/srv/<mairie>",
    "machine": {"cores": 2, "kernel": "6.12 <odd>"},
    "steps": [
        {"name": "a first backup", "verdict": "held", "seconds": 1.25, "detail": "generation 2.1 is safe"},
        {"name": "peers are blind", "verdict": "violated", "seconds": 60.0, "detail": "<b>type `appliance status`"},
    ],
}


def test_every_step_has_its_row_with_verdict_seconds_and_detail() -> None:
    page = render_page("A story", REPORT)
    assert page.count("<tr>") == 1 + len(REPORT["steps"])
    for wanted in ("1. a first backup", "✔ held", "1.2 s", "generation 2.1 is safe", "✘ violated", "2 steps in 1 min"):
        assert wanted in page


def test_what_a_step_saw_is_text_and_what_it_says_to_type_is_code() -> None:
    page = render_page("A <story>", REPORT)
    assert "&lt;b&gt;type <code>appliance status</code>" in page
    assert "A &lt;story&gt;" in page
    assert "6.12 &lt;odd&gt;" in page


def test_it_says_when_and_with_what_it_was_played_and_is_silent_about_what_is_not_known() -> None:
    page = render_page("A story", REPORT)
    for wanted in ("<dt>started</dt><dd>2026-11-25T08:00:00Z</dd>", "<dd>0.1.0</dd>", "<dd>/srv/&lt;mairie&gt;</dd>"):
        assert wanted in page
    assert "<dt>commit</dt>" not in page


def test_no_rule_of_the_style_is_broken_by_a_line_break() -> None:
    assert STYLE.count("{") == STYLE.count("}")
    for line in STYLE.splitlines():
        assert re.fullmatch(r"|@media .*\{|\}|  \S.* \{ .*; \}|\S.* \{ .*; \}", line), line
