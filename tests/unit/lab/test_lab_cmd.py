"""`appliance lab corpus` says what it did, to people and to programs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from appliance.config.load import load
from appliance.errors import UsageError
from appliance.portal.dashboard.targets import addresses
from appliance_lab.checkout import code_folder
from appliance_lab.cli.corpus_cmd import parse_share
from appliance_lab.cli.lab_cmd import lab
from appliance_lab.cli.provision_cmd import watching_text
from appliance_lab.corpus import tree_digest


def run(*words: str) -> Result:
    return CliRunner().invoke(lab, ["corpus", *words])


def test_a_corpus_is_made_then_changed(tmp_path: Path) -> None:
    folder = str(tmp_path / "mairie")
    made = run(folder, "--size", "2M", "--files", "200", "--seed", "5", "--json")
    assert made.exit_code == 0, made.output
    assert json.loads(made.stdout)["files"] == 200
    changed = run(folder, "--change", "2%")
    assert changed.exit_code == 0, changed.output
    assert "are new" in changed.stdout
    assert "deleted" in changed.stdout


def test_a_dry_run_says_what_would_be_made_or_changed_and_does_neither(tmp_path: Path) -> None:
    folder = tmp_path / "mairie"
    words = (str(folder), "--size", "2M", "--files", "200", "--dry-run")
    assert run(*words).stdout.startswith(f"{folder}: 200 files of 2 MiB in all would be made: ")
    said = json.loads(run(*words, "--json").stdout)
    assert sum(said["kinds"].values()) == said["files"] == 200
    assert not folder.exists()
    assert run(*words[:-1]).exit_code == 0
    before = tree_digest(folder)
    changed = run(str(folder), "--change", "2%", "--dry-run")
    assert "about 41 KiB would be new, in change number 1" in changed.stdout
    assert tree_digest(folder) == before


@pytest.mark.parametrize("words", [("--dry-run",), ("--dry-run", "--change", "1%"), ("--dry-run", "--files", "3")])
def test_a_dry_run_refuses_what_the_run_would(tmp_path: Path, words: tuple[str, ...]) -> None:
    (tmp_path / "file").touch()
    assert isinstance(run(str(tmp_path), *words).exception, UsageError)


def test_a_foreign_folder_is_refused_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    refused = run(str(tmp_path))
    assert isinstance(refused.exception, UsageError)
    assert "--change" in str(refused.exception)


@pytest.mark.parametrize(("text", "share"), [("1%", 0.01), ("0.5%", 0.005), ("0.25", 0.25)])
def test_a_share_is_a_percentage_or_a_number(text: str, share: float) -> None:
    assert parse_share(text) == pytest.approx(share)


def test_a_share_that_is_none_is_refused() -> None:
    with pytest.raises(UsageError, match="not a percentage or a fraction"):
        parse_share("beaucoup")


def test_provisioning_ends_with_where_the_dashboard_and_prometheus_are() -> None:
    watching = addresses(load(code_folder() / "inventory/lab"))
    dashboard, here, prometheus = watching_text(watching, "/lab/ssh_config")
    assert dashboard.endswith("https://hermitage.lab.internal/territoire")
    assert "ssh -F /lab/ssh_config -N -L 8443:localhost:443 hermitage" in here
    assert prometheus.endswith("https://hermitage.lab.internal:9090/")
    assert addresses(load(code_folder() / "inventory/demo")) == (), "nobody watches there"
