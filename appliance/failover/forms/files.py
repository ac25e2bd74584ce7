"""Services that are folders of files: what needs nothing else, and all of process mode."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from appliance.node.current import files_of
from appliance.node.handle import Node

REPLACED = "replaced-files"
"""In the service's folder, in process mode; on a host beside what is served, as it may lie on another disk."""


class Files:
    staging = ""
    loads = "appliance.failover.forms.trees"

    def save_first(self, node: Node, service: str, to: str) -> None:
        """A backup has all of it."""

    def prepare(self, node: Node, service: str) -> None:
        """There is nothing besides."""

    def before_files(self, node: Node, service: str, install: Callable[[], None]) -> None:
        """There is nothing to wait for."""

    def put_in_place(self, node: Node, service: str, tree: Path) -> list[str]:
        placed = []
        for path in node.bundle.terms(service).service.paths:
            if (source := tree / path.lstrip("/")).exists():
                self._put(node, service, source, files_of(node, path))
                placed.append(path)
        return placed

    def _put(self, node: Node, service: str, source: Path, target: Path) -> None:
        from appliance.failover.forms import trees

        trees.swap(source, target, node.service(service).root / REPLACED)

    def replaced(self, node: Node, service: str) -> Iterator[tuple[Path, str]]:
        for path in node.bundle.terms(service).service.paths:
            live = files_of(node, path)
            yield node.service(service).root / REPLACED / live.name, path
            yield live.with_name(f".{live.name}.replaced"), path

    def show_copy(self, node: Node, service: str) -> dict[str, Any]:
        from appliance.failover.forms import trees

        return {"generation": trees.show(node, service)}

    def keep_apart(self, node: Node, service: str, folder: Path) -> None:
        from appliance.failover.forms import trees

        trees.copy_apart(node, service, folder)
