"""Repositories that adoptions put aside: `replaced-EPOCH` beside the one that is written now.

Each takeover and each return leaves one, as large as the service, and a node that hands its services over for each
monthly upgrade fills its disk by that. The newest one stays: it is what this node wrote last before. Older ones are
removed once this node has sealed under its present grant, and that is held. One with another id is the repository of
before a revocation, which a person removes (docs/how-to/revoke.md). For the files that were in place before, see
`failover/replaced_trees.py`.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable
from pathlib import Path

from appliance.backup.chain.chain import chain_of
from appliance.backup.writer.writer import safety_of
from appliance.borg.folder import repository_id
from appliance.errors import ApplianceError
from appliance.host.layout import ServiceLayout
from appliance.node.handle import Node

_NAME = re.compile(r"replaced-([0-9]+)(?:\.([0-9]+))?")


def replaced_repositories(layout: ServiceLayout) -> tuple[Path, ...]:
    """Those put aside of the repository that is written now, the oldest first."""
    if not layout.root.is_dir():
        return ()
    found = [path for path in layout.root.iterdir() if _NAME.fullmatch(path.name) and _is_same(path, layout)]
    return tuple(sorted(found, key=lambda path: _number(path.name)))


def forget_replaced(node: Node, service: str) -> tuple[str, ...]:
    """Remove all but the newest once what was sealed under the present grant is safe; the names of what is gone."""
    layout = node.service(service)
    older = replaced_repositories(layout)[:-1]
    if not older or not is_succeeded(node, service):
        return ()
    for path in older:
        shutil.rmtree(path)
    return _names(older)


def is_succeeded(node: Node, service: str) -> bool:
    """Whether the newest generation is this node's, of its present grant, and held by as many as was promised: one that
    is partial has the older archives all the same."""
    chain = chain_of(node, service)
    newest, grant = chain.newest_header(), chain.newest_grant()
    if newest is None or grant is None or newest.epoch != grant.epoch:
        return False
    ours = grant.writer_key == node.bundle.member(node.name).keys.sign
    return ours and safety_of(node, service).held


def _is_same(path: Path, layout: ServiceLayout) -> bool:
    try:
        return repository_id(path) == repository_id(layout.repository)
    except (ApplianceError, OSError):
        return False


def _number(name: str) -> tuple[int, int]:
    found = _NAME.fullmatch(name)
    assert found
    return int(found[1]), int(found[2] or 0)


def _names(paths: Iterable[Path]) -> tuple[str, ...]:
    return tuple(path.name for path in paths)
