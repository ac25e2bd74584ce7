"""Where in its file a service stands of which planning finds out that its copies find no room."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from appliance.config.explain import Problems, path_text
from appliance.config.load import read_raw, read_root, territory_file
from appliance.config.parts import read_parts
from appliance.config.tree import place_of
from appliance.territory.implicit import implicit_name
from appliance.territory.placement import Infeasible


@contextmanager
def with_lines_of(place: Path, *, name: str | None = None) -> Iterator[None]:
    """Let an Infeasible raised within name file and line of its service; `name` is what messages call the file."""
    try:
        yield
    except Infeasible as error:
        error.where = _where(place, error.service, name)
        raise


def quota_places(place: Path, *, name: str | None = None) -> Mapping[str, str]:
    """Where in its file the quota of each service stands that has one, as messages say it."""
    file = territory_file(place)
    shown = name or str(file)
    root = read_root(read_raw(file), Problems(shown))
    services = read_parts(root, Problems(shown)).services
    paths = {it.part.was or it.name: (*it.path, "quota") for it in services if it.part.quota}
    return {it: f"{shown}:{place_of(root, path).line}  {path_text(path)}" for it, path in paths.items()}


def _where(place: Path, service: str, name: str | None) -> str:
    file = territory_file(place)
    shown = name or str(file)
    root = read_root(read_raw(file), Problems(shown))
    parts = read_parts(root, Problems(shown))
    # Each node backs itself up without an entry in the file: the line of such a service is that of its node.
    paths = {implicit_name(node.name): node.path for node in parts.nodes}
    paths |= {written.part.was or written.name: written.path for written in parts.services}
    if service not in paths:  # it was renamed in an earlier bundle
        return shown
    return f"{shown}:{place_of(root, paths[service]).line}  {path_text(paths[service])}"
