"""`appliance survey` as somebody types it on a PC: at once, day by day, and ended at any time."""

from __future__ import annotations

import errno
import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from appliance.backup.survey.looks import Look
from appliance.backup.survey.walk import Scope
from appliance.cli import main, survey
from appliance.clock import SimulatedClock
from appliance.errors import Busy, NotFound
from appliance.host.files import locked
from appliance.units import DAY, HOUR, KIB, MIB


@pytest.fixture
def share(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a file of last year; what surveys remember lies beside it."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    folder = tmp_path / "share"
    folder.mkdir()
    write(folder / "old", 10 * MIB, time.time() - 400 * DAY)
    return folder


def write(file: Path, size: int, at: float) -> None:
    file.write_bytes(os.urandom(size))
    os.utime(file, (at, at))


def run(capsys: pytest.CaptureFixture[str], *words: str | Path) -> tuple[int, str, str]:
    code = main.run(["survey", *map(str, words)])
    told = capsys.readouterr()
    return code, told.out, told.err


def kept(share: Path) -> Path:
    (file,) = (share.parent / "state/appliance").glob("survey-*.json")
    return file


class Week:
    """A PC on which an application writes 1 MiB each day at noon; `sleep` lets time pass for it."""

    def __init__(self, share: Path) -> None:
        # All files of the test are older than its first look, as the file system dates them.
        self.clock = SimulatedClock(now=time.time() + HOUR)
        self.share, self.start = share, self.clock.now()
        self.written = 0
        self.wake: Callable[[], None] = lambda: None

    def run(self) -> survey.Run:
        return survey.Run(Scope((str(self.share),)), self.clock)

    def sleep(self, seconds: float) -> None:
        assert 0 < seconds <= survey.WAIT_SECONDS_MAX
        self.clock.advance(seconds)
        days = int((self.clock.now() - self.start) / DAY + 0.5)
        if days > self.written:
            self.written = days
            write(self.share / "database", MIB, self.clock.now())
            self.wake()


def test_one_walk_prints_two_lines_for_the_file_and_changes_nothing(
    capsys: pytest.CaptureFixture[str], share: Path
) -> None:
    write(share / "new", 2 * MIB, time.time() - HOUR)
    code, out, err = run(capsys, share)
    assert (code, err) == (0, "")
    assert "\n    size: 12M\n    change_per_day: ~2M\n" in out
    assert f"    appliance survey --days 7 {share}\n" in out
    assert f"    30 12 * * * appliance --quiet survey --record {share} >/dev/null" in out
    assert not (share.parent / "state").exists()


def test_json_has_the_figures_in_bytes_and_as_the_file_has_them(
    capsys: pytest.CaptureFixture[str], share: Path
) -> None:
    write(share / "new", 2 * MIB, time.time() - HOUR)
    found = json.loads(run(capsys, "--json", share)[1])
    assert (found["size"], found["size_bytes"]) == ("12M", 12 * MIB)
    assert (found["change_per_day"], found["change_bytes_per_day"]) == ("~2M", 2 * MIB)
    assert (found["guessed"], found["looks"], found["looks_file"]) == (["change_per_day"], 0, None)


def test_what_is_excluded_is_left_out_also_of_what_is_typed_next(
    capsys: pytest.CaptureFixture[str], share: Path
) -> None:
    write(share / "draft.tmp", 5 * MIB, time.time() - HOUR)
    words = ("--exclude", "*.tmp", "--exclude", "cache/*")
    _, out, _ = run(capsys, *words, share)
    assert "\n    size: 10M\n    change_per_day: ~1M\n" in out
    assert "\nLeft out: *.tmp, cache/*.\n" in out
    again = f"--exclude '*.tmp' --exclude 'cache/*' {share}"
    assert f"\n    appliance survey --days 7 {again}\n" in out
    assert f"appliance --quiet survey --record {again} >/dev/null" in out
    assert json.loads(run(capsys, "--json", *words, share)[1])["exclude"] == ["*.tmp", "cache/*"]
    assert "\nAll files count. Name what the service excludes with --exclude.\n" in run(capsys, share)[1]


def test_looks_with_and_without_what_is_excluded_are_kept_apart(
    capsys: pytest.CaptureFixture[str], share: Path
) -> None:
    for words in ((), ("--exclude", "*.tmp"), ("--exclude", "*.tmp", "--exclude", "*.tmp")):
        run(capsys, "--record", *words, share)
    files = (share.parent / "state/appliance").glob("survey-*.json")
    assert sorted(json.loads(it.read_text())["exclude"] for it in files) == [[], ["*.tmp"]]


def test_a_week_of_looks_measures_what_changes_daily(share: Path, capsys: pytest.CaptureFixture[str]) -> None:
    week = Week(share)
    done = week.run()
    survey.watch(done, 7, week.sleep)
    assert [it.changed_bytes for it in done.looks] == [0, *[MIB] * 7]
    assert survey.show(done) == 0
    told = capsys.readouterr()
    assert "\n    size: 11M\n    change_per_day: 1M\n" in told.out
    assert "guess" not in told.out
    assert told.err.count(" of 7 days. The next look is in ") == 7


def test_what_is_remembered_is_a_few_numbers_and_no_name_of_a_file(share: Path) -> None:
    week = Week(share)
    survey.watch(week.run(), 2, week.sleep)
    values = json.loads(kept(share).read_text())
    assert (values["folders"], values["exclude"]) == ([str(share)], [])
    assert [set(it) for it in values["looks"]] == [{*Look.__annotations__}] * 3
    assert "database" not in kept(share).read_text()
    assert len(kept(share).read_bytes()) < KIB
    assert kept(share).stat().st_mode & 0o777 == 0o600


def test_a_week_that_leaves_a_doubt_says_how_to_start_over(share: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Otherwise the same command would end at once, with the same doubt, for a month."""
    week = Week(share)
    survey.watch(week.run(), 7, week.sleep)
    kept(share).write_text(kept(share).read_text().replace('"unreadable": 0', '"unreadable": 1', 1))
    survey.show(week.run())
    out = capsys.readouterr().out
    assert "\n    change_per_day: ~1M\n" in out
    assert f"To start over, remove them:\n    rm {kept(share)}\nTo measure a week" in out


def test_a_survey_that_is_ended_continues_where_it_was(share: Path) -> None:
    """Ctrl-C, a restart and two days without power: three looks are kept, and the time between them counts."""
    week = Week(share)

    def press() -> None:
        if week.written == 3:
            raise KeyboardInterrupt

    week.wake = press
    with pytest.raises(KeyboardInterrupt):
        survey.watch(week.run(), 7, week.sleep)
    assert len(week.run().looks) == 3
    week.clock.advance(2 * DAY)
    week.clock.reboot()
    again = week.run()
    survey.watch(again, 7, week.sleep)
    assert [round(it.days, 1) for it in again.looks[:4]] == [0.0, 1.0, 1.0, 2.5]
    assert len(again.looks) > 6


def test_ctrl_c_in_the_middle_of_a_look_loses_that_look_alone(
    share: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    week = Week(share)
    week.run().record()
    before = kept(share).read_bytes()
    week.clock.advance(DAY)

    def press(*_args: object, **_more: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("appliance.cli.survey.look", press)
    monkeypatch.setattr("appliance.cli.survey.SystemClock", lambda: week.clock)
    code, out, err = run(capsys, "--days", "7", share)
    assert (code, out) == (130, "")
    assert err.splitlines()[-1].endswith(f"To continue, type: appliance survey --days 7 {share}")
    assert kept(share).read_bytes() == before


def test_a_second_look_on_one_day_is_not_remembered(share: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "--record", share)[0] == 0
    code, out, err = run(capsys, "--record", share)
    assert code == 0
    assert "too early to be remembered" in err
    assert f"1 look in {kept(share)}." in out


def test_a_clock_that_went_back_starts_a_new_row_and_waits_for_no_old_time(share: Path) -> None:
    week = Week(share)
    survey.watch(week.run(), 2, week.sleep)
    week.clock.jump_wall(-30 * DAY)
    week.start -= 30 * DAY
    again = week.run()
    survey.watch(again, 4, week.sleep)
    assert [bool(it.since) for it in again.looks] == [False, True, True, False, True, True]


def test_a_long_silence_starts_a_new_row(share: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that changes daily would count once for all those days."""
    week = Week(share)
    week.run().record()
    week.clock.advance(5 * DAY)
    late = week.run()
    late.record()
    assert "counted from this look" in capsys.readouterr().err
    assert [it.since for it in late.looks] == ["", ""]


def test_a_folder_that_is_gone_on_a_later_day_adds_no_look(share: Path) -> None:
    week = Week(share)
    week.run().record()
    share.rename(share.with_name("moved"))
    week.clock.advance(DAY)
    with pytest.raises(NotFound, match="Is its disk mounted"):
        week.run().record()
    share.with_name("moved").rename(share)
    assert len(week.run().looks) == 1


def test_two_surveys_of_the_same_folders_do_not_look_at_once(share: Path) -> None:
    week = Week(share)
    one, other = week.run(), week.run()
    with locked(one.file.with_suffix(".lock"), what="this survey"), pytest.raises(Busy, match="this survey is in use"):
        other.record()


@pytest.mark.parametrize("content", ["", "[]", "{", '{"format": 2}', '{"format": 1, "folders": [], "looks": [1]}'])
def test_looks_that_cannot_be_read_are_kept_and_named(
    share: Path, capsys: pytest.CaptureFixture[str], content: str
) -> None:
    run(capsys, "--record", share)
    kept(share).write_text(content)
    for words in ((), ("--record",), ("--days", "7")):
        code, out, err = run(capsys, *words, share)
        assert (code, out, err.count("\n")) == (5, "", 1)
        assert err.endswith(f"The survey starts over when you remove it: rm {kept(share)}\n")
    assert kept(share).read_text() == content


def test_a_time_that_somebody_edited_is_refused_as_well(share: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, "--record", share)
    kept(share).write_text(kept(share).read_text().replace("Z", ""))
    assert run(capsys, share)[0] == 5


def test_a_full_disk_keeps_the_earlier_looks(
    share: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    week = Week(share)
    week.run().record()
    before = kept(share).read_bytes()
    week.clock.advance(DAY)

    def full(*_args: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("appliance.host.files.os.fsync", full)
    monkeypatch.setattr("appliance.cli.survey.SystemClock", lambda: week.clock)
    code, _, err = run(capsys, "--record", share)
    assert code == 4
    assert "the disk is full" in err
    assert kept(share).read_bytes() == before


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ((), 2, "Missing argument 'FOLDER...'"),
        (("/proc",), 2, "/proc: the kernel makes up what is in there; name a folder on a disk."),
        (("{share}/old",), 2, "this is not a folder"),
        (("{share}", "{share}/nowhere"), 3, "there is no such folder. Is its disk mounted?"),
        (("--days", "7", "--record", "{share}"), 2, "--days and --record cannot be combined."),
        (("--days", "0", "{share}"), 2, "0 is not in the range"),
    ],
)
def test_bad_input_is_one_sentence_and_a_documented_code(
    share: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], code: int, said: str
) -> None:
    found, out, err = run(capsys, *(word.replace("{share}", str(share)) for word in words))
    assert (found, out, err.count("\n")) == (code, "", 1)
    assert said in err


def test_a_name_that_is_not_utf_8_is_typed_again_as_a_shell_reads_it(
    share: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = share / os.fsdecode(b"caf\xe9")
    folder.mkdir()
    code, out, err = run(capsys, "--record", folder)
    assert (code, err) == (0, "")
    assert f"    appliance survey --days 7 $'{share}/caf\\xe9'\n" in out
    assert "crontab" not in out, "the shell of cron cannot read such a word"
    assert json.loads(kept(share).read_text())["folders"] == [f"{share}/caf\\xe9"]
    assert json.loads(run(capsys, "--json", folder)[1])["folders"] == [str(folder)]


def test_cron_reads_a_percent_sign_as_a_new_line_unless_it_is_escaped(
    share: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (share / "100 %").mkdir()
    assert f"--record '{share}/100 \\%' >" in run(capsys, share / "100 %")[1]
