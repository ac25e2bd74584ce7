"""A host becomes a node in one step, and only once; what is another node already is refused before anything changes."""

from __future__ import annotations

import grp
import os
import pwd
import shutil
from pathlib import Path

import pytest

from appliance.errors import ApplianceError, Refused
from appliance.host.identity import machine_id
from appliance.host.layout import NodeLayout
from appliance.membership.bundle import Taken
from appliance.provision import firewall, vault
from appliance.provision.apply import Host
from appliance.provision.callers import Caller
from appliance.provision.files import HEADING
from appliance.provision.setup import APART, Owners, SetUp, part, set_up
from appliance.trust.identity import Identity
from appliance.trust.keys import create_key
from appliance.voter.promises import load_promises
from tests.worlds.towns import PUBLIC, bundle, town

USER, GROUP = pwd.getpwuid(os.getuid()).pw_name, grp.getgrgid(os.getgid()).gr_name
HERE = Owners(USER, GROUP, USER, GROUP)
STATE = Path("/srv/appliance/node")
SAYS_WHERE, PIN = "/etc/appliance/state", "/etc/appliance/territory.pub"
SITES = ("/srv/sites", "/srv/sites/.laying")
CLOSED = {f"{STATE}/{name}": mode for name, mode in APART.items()}
MODES = dict.fromkeys(("/srv/appliance",), 0o711) | {str(STATE): 0o710, SITES[0]: 0o755, SITES[1]: 0o700}
MODES |= CLOSED | {SAYS_WHERE: 0o644, PIN: 0o644}
EVERYTHING = (*MODES, f"{STATE}/node.json")


def no_command(argv: tuple[str, ...]) -> None:
    raise AssertionError(argv)


@pytest.fixture
def host(tmp_path: Path) -> Host:
    (tmp_path / "host/run").mkdir(parents=True)
    (tmp_path / "host/var/lib/appliance").mkdir(parents=True)
    return Host(tmp_path / "host", no_command)


@pytest.fixture
def keys(tmp_path: Path) -> tuple[str, str]:
    return create_key(tmp_path / "territory"), create_key(tmp_path / "another")


def settled(host: Host, name: str, key: str, *, dry_run: bool = False) -> SetUp:
    return set_up(Identity(name, key), STATE, host, dry_run=dry_run, owners=HERE)


def disk(host: Host) -> dict[str, tuple[int, bytes]]:
    """Every file and folder with its mode, but /run."""
    paths = (path for path in host.root.rglob("*") if path.relative_to(host.root).parts[0] != "run")
    return {str(it): (it.stat().st_mode, b"" if it.is_dir() else it.read_bytes()) for it in paths}


def mode(host: Host, path: str) -> int:
    return (host.root / path.lstrip("/")).stat().st_mode & 0o7777


def test_a_bare_host_becomes_a_node_and_the_second_time_nothing_changes(host: Host, keys: tuple[str, str]) -> None:
    first = settled(host, "commune-a", keys[0])
    assert first.changed == EVERYTHING
    assert load_promises(host.root / "var/lib/appliance/promises", machine_id()).services == {}, "its broker could sign"
    assert (host.root / "etc/appliance/state").read_text() == f"{STATE}\n"
    assert (host.root / "etc/appliance/territory.pub").read_text() == f"{keys[0]}\n"
    assert {path: mode(host, path) for path in MODES} == MODES
    before = disk(host)
    assert settled(host, "commune-a", keys[0]) == SetUp((), first.keys)
    assert disk(host) == before


def test_the_vault_wants_each_folder_as_a_node_was_settled_with_it() -> None:
    """Each run of `site` changed it twice, and closed it to who serves the vault in between."""
    settled_with = {it.path: it for it in part(STATE, "key").folders}
    both = {it.path: it for it in vault.FOLDERS if it.path in settled_with}
    assert {*both} >= {f"{STATE}/acts", f"{STATE}/sight"}
    assert both == {path: settled_with[path] for path in both}


def test_a_dry_run_says_the_same_and_changes_nothing(host: Host, keys: tuple[str, str]) -> None:
    before = disk(host)
    assert settled(host, "commune-a", keys[0], dry_run=True) == SetUp(EVERYTHING, None)
    assert disk(host) == before
    made = settled(host, "commune-a", keys[0])
    assert settled(host, "commune-a", keys[0], dry_run=True) == SetUp((), made.keys)


@pytest.mark.parametrize("path", MODES)
def test_a_mode_that_differs_is_mended(path: str, host: Host, keys: tuple[str, str]) -> None:
    made = settled(host, "commune-a", keys[0])
    before = disk(host)
    (host.root / path.lstrip("/")).chmod(0o770)
    assert settled(host, "commune-a", keys[0]) == SetUp((path,), made.keys)
    assert disk(host) == before


def test_the_key_that_root_pins_is_mended_for_a_node_that_believes_the_right_one(
    host: Host, keys: tuple[str, str]
) -> None:
    made = settled(host, "commune-a", keys[0])
    (host.root / "etc/appliance/territory.pub").write_text(f"{keys[1]}\n")
    assert settled(host, "commune-a", keys[0]) == SetUp((PIN,), made.keys)


@pytest.mark.parametrize("another", ["name", "key"])
def test_another_node_is_refused_and_nothing_changes(another: str, host: Host, keys: tuple[str, str]) -> None:
    settled(host, "commune-a", keys[0])
    (host.root / "srv/appliance/node").chmod(0o700)  # what would be mended otherwise
    before = disk(host)
    with pytest.raises(Refused, match="already belongs to the node commune-a"):
        settled(host, "commune-b" if another == "name" else "commune-a", keys[another == "key"])
    assert disk(host) == before


def test_a_run_that_was_cut_before_the_node_was_born_is_finished_by_the_next(host: Host, keys: tuple[str, str]) -> None:
    made = settled(host, "commune-a", keys[0])
    (host.root / "srv/appliance/node/node.json").unlink()  # it is written last
    assert settled(host, "commune-a", keys[0]) == SetUp((f"{STATE}/node.json",), made.keys)


def test_a_new_node_keeps_the_bundle_that_does_not_name_its_keys_yet(host: Host) -> None:
    wanted, first = Identity("commune-a", PUBLIC), bundle([town("commune-a", 1), town("commune-b", 2)])
    before = disk(host)
    planned = set_up(wanted, STATE, host, bundle=first, dry_run=True, owners=HERE)
    assert (planned.bundle, disk(host)) == (Taken(1, 0, member=False), before)
    made = set_up(wanted, STATE, host, bundle=first, owners=HERE)
    assert (made.changed, made.bundle) == ((*EVERYTHING, f"{STATE}/bundle"), Taken(1, 0, member=False))
    assert (host.root / "srv/appliance/node/bundle").read_bytes() == first.document.raw
    again = set_up(wanted, STATE, host, bundle=first, owners=HERE)
    assert again == SetUp((), made.keys, Taken(1, 1, member=False))


@pytest.mark.parametrize("dry_run", [True, False])
def test_an_older_bundle_than_the_one_in_use_is_refused_in_a_dry_run_too(dry_run: bool, host: Host) -> None:
    wanted, towns = Identity("commune-a", PUBLIC), [town("commune-a", 1), town("commune-b", 2)]
    set_up(wanted, STATE, host, bundle=bundle(towns, serial=2), owners=HERE)
    before = disk(host)
    with pytest.raises(Refused, match="bundle 1 would replace bundle 2"):
        set_up(wanted, STATE, host, bundle=bundle(towns), dry_run=dry_run, owners=HERE)
    assert disk(host) == before


@pytest.mark.parametrize("dry_run", [True, False])
def test_an_older_bundle_than_root_obeyed_is_refused_though_the_node_has_one_older_still(
    dry_run: bool, host: Host
) -> None:
    wanted, towns = Identity("commune-a", PUBLIC), [town("commune-a", 1), town("commune-b", 2)]
    set_up(wanted, STATE, host, bundle=bundle(towns), owners=HERE)
    (host.root / "etc/appliance/serial").write_text(f"3 {PUBLIC}\n")
    before = disk(host)
    with pytest.raises(Refused, match="bundle 2 is older than bundle 3, which root already applied to this host"):
        set_up(wanted, STATE, host, bundle=bundle(towns, serial=2), dry_run=dry_run, owners=HERE)
    assert disk(host) == before
    assert set_up(wanted, STATE, host, bundle=bundle(towns, serial=3), owners=HERE).bundle is not None


def test_a_host_that_joins_another_territory_begins_with_any_serial_of_it(host: Host, keys: tuple[str, str]) -> None:
    settled(host, "commune-a", keys[0])
    (host.root / "etc/appliance/serial").write_text(f"7 {keys[0]}\n")
    shutil.rmtree(host.root / "srv/appliance/node")
    towns = bundle([town("commune-a", 1), town("commune-b", 2)])
    assert set_up(Identity("commune-a", PUBLIC), STATE, host, bundle=towns, owners=HERE).bundle is not None


RULES = "etc/nftables.conf"
OPERATORS = "etc/appliance/operators"
OFFICE = "10.1.1.10"
"""Where the playbooks come from: at first the address of the node with the role `control`."""
CONTROL_AT_A = [town("commune-a", 1, roles=("control",)), town("commune-b", 2)]
CONTROL_AT_B = [town("commune-a", 1), town("commune-b", 2, roles=("control",))]


@pytest.fixture
def filtered(host: Host) -> Host:
    """A node by the name commune-b whose rules are loaded, and whose control machine is commune-a."""
    first = bundle(CONTROL_AT_A)
    set_up(Identity("commune-b", PUBLIC), STATE, host, bundle=first, caller=Caller(OFFICE), owners=HERE)
    rules = firewall.render(first, "commune-b")
    (host.root / RULES).write_text(rules.replace(HEADING, "# Written by another version."))
    return host


@pytest.mark.parametrize("dry_run", [True, False])
def test_a_bundle_that_locks_out_who_brings_it_is_refused_before_it_is_kept(dry_run: bool, filtered: Host) -> None:
    before, wanted, moved = disk(filtered), Identity("commune-b", PUBLIC), bundle(CONTROL_AT_B, serial=2)
    with pytest.raises(Refused, match=f"you are connected from {OFFICE}, which these rules.*`firewall_operators`"):
        set_up(wanted, STATE, filtered, bundle=moved, caller=Caller(OFFICE), dry_run=dry_run, owners=HERE)
    assert disk(filtered) == before


def test_operators_that_are_named_then_are_let_in_before_the_bundle_is_there(filtered: Host) -> None:
    (filtered.root / OPERATORS).write_text("# by hand\n198.18.0.0/15")
    wanted, moved = Identity("commune-b", PUBLIC), bundle(CONTROL_AT_B, serial=2)
    caller = Caller(OFFICE, ("198.18.0.0/15", "10.1.1.0/24"))
    made = set_up(wanted, STATE, filtered, bundle=moved, caller=caller, owners=HERE)
    assert made.changed == (f"/{OPERATORS}", f"{STATE}/bundle")
    assert (filtered.root / OPERATORS).read_text() == "# by hand\n198.18.0.0/15\n10.1.1.0/24\n"
    (filtered.root / OPERATORS).unlink()
    again = set_up(wanted, STATE, filtered, bundle=moved, caller=caller, owners=HERE)
    assert again.changed == (), "what is in force already is the role firewall's"


@pytest.mark.parametrize(
    ("rules", "address"),
    [
        pytest.param("flush ruleset\n", OFFICE, id="before_our_rules_are_loaded"),
        pytest.param("", "", id="who_does_not_come_over_ssh"),
        pytest.param("", "10.90.0.1", id="who_comes_through_the_mesh"),
    ],
)
def test_nobody_else_is_locked_out_by_a_bundle(rules: str, address: str, filtered: Host) -> None:
    if rules:
        (filtered.root / RULES).write_text(rules)
    wanted, moved = Identity("commune-b", PUBLIC), bundle(CONTROL_AT_B, serial=2)
    made = set_up(wanted, STATE, filtered, bundle=moved, caller=Caller(address), owners=HERE)
    assert made.bundle == Taken(2, 1, member=False)


def test_a_host_without_our_package_is_told_to_have_it_first(host: Host, keys: tuple[str, str]) -> None:
    nobody = Owners(USER, GROUP, "nobody-of-ours", GROUP)
    with pytest.raises(ApplianceError, match=r"no account or group nobody-of-ours.*Install the package"):
        set_up(Identity("commune-a", keys[0]), STATE, host, owners=nobody)


def test_a_file_where_the_folder_should_be_is_told(host: Host, keys: tuple[str, str]) -> None:
    (host.root / "srv/appliance").mkdir(parents=True)
    (host.root / "srv/appliance/node").touch()
    with pytest.raises(ApplianceError, match="this is not a folder"):
        settled(host, "commune-a", keys[0])
    assert not (host.root / "etc").exists()


def test_a_restore_that_is_laid_into_the_folder_of_a_service_later_is_believed_by_nobody(
    host: Host, keys: tuple[str, str]
) -> None:
    settled(host, "commune-a", keys[0])
    layout = NodeLayout(host.root / str(STATE).lstrip("/"))
    forged = layout.services / "docs-a/restores/20261103T000000Z"
    forged.mkdir(parents=True)
    (forged / "job.json").write_text("laid there by an agent that was broken into")
    settled(host, "commune-a", keys[0])
    assert not layout.service("docs-a").restores.exists()
