"""Every text of a `territory.yml`, drawn from what injects into files that root writes: it is refused with its line, or
what is rendered from it has the same lines as before, and the program that reads the file takes it."""

from __future__ import annotations

import copy
import re
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from appliance.config.explain import InvalidFile
from appliance.config.load import parse
from appliance.errors import IntegrityError
from appliance.failover.forms import share
from appliance.provision import firewall
from appliance.provision.observe import Declared
from appliance.provision.plan import wanted
from appliance.territory import codec
from appliance.territory.model import Territory
from tests.integration.share.world import COMMON
from tests.worlds.towns import bundle

ROOT = Path(__file__).parents[3]
BASE: dict[str, Any] = {
    "territory": {"name": "lab", "title": "Territoire", "contact": "regie@lab.fr"},
    "zones": {it: {"kind": "flood", "title": f"Zone {it}"} for it in ("za", "zb", "zc")},
    "links": {"fibre": {"title": "Fibre", "up_mbit_per_second": "200", "down_mbit_per_second": "500"}},
    "sites": {
        site: {
            "title": f"Commune {site}",
            "zones": [zone],
            "lan": [f"192.168.{number}.0/24"],
            "nodes": [
                {
                    "name": f"node-{site}",
                    "address": f"10.1.{number}.10",
                    "mesh": f"10.90.0.{number}",
                    "disk": "900G",
                    "offered": "400G",
                    "uplink": "fibre",
                    "roles": ["voter", *(["standby", "monitor"] if site == "c" else [])],
                }
            ],
        }
        for number, (site, zone) in enumerate((("a", "za"), ("b", "zb"), ("c", "zc")), 1)
    },
    "services": {
        name: {
            "node": f"node-{at}",
            "title": f"Dossier {name}",
            "size": "1G",
            "change_per_day": "10M",
            "standbys": ["node-c"],
            **more,
        }
        for name, at, more in (
            (
                "docs",
                "a",
                {"paths": ["/srv/shares/docs"], "share": "Documents", "exclude": ["*.tmp"], "address": "10.90.8.3"},
            ),
            ("site", "b", {"paths": ["/srv/sites/site"], "address": "10.90.8.4"}),
            ("base", "b", {"kind": "postgresql", "database": "base", "policy": "exclusive", "address": "10.90.8.5"}),
            ("stays", "b", {"paths": ["/srv/shares/stays"], "share": "Reste"}),
        )
    },
    "people": {"regie": {"title": "Régie", "may": ["lost"]}},
    "events": {"crue": {"title": "Crue", "zones": ["za"]}},
}
HOSTILE = (
    "x\n    root preexec = /bin/sh -c id",
    "x\r\ninclude = /tmp/x",
    "x\x00y",
    "a\u2028b",
    "a\u202eb",
    "x\\",
    "%(x)s %u %$(HOME)",
    "$(id)`id`${IFS}",
    "{{ 7 * 7 }}{% raw %}",
    "\"; }' ) accept #",
    "; [global]",
    "-e --help",
    "../../etc",
)


def texts(tree: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of each text in `tree`."""
    inner = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in inner:
        yield from texts(value, (*path, key))
    if isinstance(tree, str):
        yield path


def with_text(path: tuple[Any, ...], text: str) -> dict[str, Any]:
    changed = copy.deepcopy(BASE)
    place: Any = changed
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = text
    return changed


def read(tree: dict[str, Any]) -> Territory:
    return parse(yaml.safe_dump(tree, allow_unicode=False, sort_keys=False).encode(), name="territory.yml")


def rendered(territory: Territory) -> dict[tuple[str, str], str]:
    """Each file that root writes for each node, from the bundle as it reads it; and Samba's of shares that stay."""
    made = bundle(territory.nodes.values())
    made = replace(made, territory=codec.from_json(codec.to_json(territory)))
    found = {
        (node, it.path): it.text
        for node in territory.nodes
        for part in wanted(made, node, Declared(certified=True))
        for it in part.files
    }
    return {**found, ("node-b", "smb.conf"): _staying(territory)}


def rendered_or_refused(tree: dict[str, Any]) -> dict[tuple[str, str], str] | None:
    """Return what is rendered of `tree`; None when it was refused, with lines that bring nothing of it to a
    terminal."""
    try:
        return rendered(read(tree))
    except InvalidFile as error:
        said = str(error).split("\n")
    assert all(re.match(r"territory\.yml:\d+  |\d+ mistakes in territory\.yml:$", it) for it in said), said
    assert all(map(str.isprintable, said)), said
    return None


def _staying(territory: Territory) -> str:
    templates = Environment(
        loader=FileSystemLoader(ROOT / "roles/share/templates"), undefined=StrictUndefined, trim_blocks=True
    )
    templates.filters["regex_replace"] = lambda text, pattern, put: re.sub(pattern, put, text)
    return templates.get_template("smb.conf.j2").render(
        share_title=territory.sites["b"].title,
        share_services=[territory.services["stays"]],
        share_common=share.COMMON,
        share_people="people",
        appliance_node="node-b",
        accounts_mark="mark",
    )


def shape(text: str) -> list[str]:
    """The lines without the values of settings: what a program does, whatever it is told."""
    return [line.partition("=")[0] if "=" in line else line for line in text.split("\n")]


PLAIN = rendered(read(BASE))
PATHS = list(texts(BASE))


def test_what_is_tried_is_every_text_and_what_is_rendered_is_of_every_kind() -> None:
    assert len(PATHS) > 60
    assert {Path(path).suffix for _, path in PLAIN} >= {".conf", ".env", ".json", ".yml"}
    assert firewall.CONFIG in {path for _, path in PLAIN}


@pytest.mark.parametrize("hostile", HOSTILE, ids=range(len(HOSTILE)))
def test_a_text_that_injects_is_refused_or_changes_no_line_of_a_file_that_root_writes(hostile: str) -> None:
    accepted = []
    for path in PATHS:
        files = rendered_or_refused(with_text(path, hostile))
        if files is None:
            continue
        accepted.append(path)
        assert files.keys() == PLAIN.keys(), path
        for place, text in files.items():
            assert shape(text) == shape(PLAIN[place]), (path, place)
            assert not [line for line in text.split("\n") if line.endswith("\\")], (path, place)
    printable = hostile.isprintable()
    assert bool(accepted) == printable, accepted
    if printable:
        assert ("services", "docs", "title") in accepted


@pytest.mark.parametrize("hostile", [it for it in HOSTILE if not it.isprintable()], ids=repr)
def test_a_node_refuses_the_same_in_a_bundle_that_was_signed_without_looking(hostile: str) -> None:
    signed = codec.to_json(read(BASE))
    signed["services"][1]["title"] = hostile
    with pytest.raises(IntegrityError, match="territory > services > title contains a line break or another control"):
        codec.from_json(signed)


@pytest.mark.parametrize(
    "hostile", [it for it in HOSTILE if it.isprintable()], ids=range(sum(map(str.isprintable, HOSTILE)))
)
def test_the_programs_that_read_the_files_take_them_with_every_free_text_hostile(hostile: str, tmp_path: Path) -> None:
    tree = copy.deepcopy(BASE)
    for path in PATHS:
        if path[-1] in ("title", "contact"):
            place: Any = tree
            for step in path[:-1]:
                place = place[step]
            place[path[-1]] = hostile
    files = rendered(read(tree))
    for name in ("private", "lock", "state", "cache", "ncalrpc"):
        (tmp_path / name).mkdir(mode=0o755)
    for (node, path), text in files.items():
        file = tmp_path / f"{node}-{Path(path).name}"
        file.write_text(text.replace(share.COMMON, str(COMMON)).replace("/run/appliance-share-docs", str(tmp_path)))
        if path.endswith("smb.conf"):
            assert settings_of_samba(file).keys() >= {"path", "comment", "valid users"}
            assert "root preexec" not in settings_of_samba(file)
        elif path == firewall.CONFIG:
            subprocess.run(("nft", "--check", "--file", str(file)), check=True, timeout=30, capture_output=True)


def settings_of_samba(file: Path) -> dict[str, str]:
    done = subprocess.run(
        ("testparm", "--suppress-prompt", str(file)), capture_output=True, text=True, check=False, timeout=30
    )
    assert done.returncode == 0, done.stderr
    pairs = (it.partition("=") for it in done.stdout.splitlines())
    return {key.strip(): value.strip() for key, mark, value in pairs if mark}
