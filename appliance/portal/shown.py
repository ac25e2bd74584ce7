"""Which files a page offers to show. By name alone: what they are is found out by whoever reads them."""

from __future__ import annotations

_WORDS = frozenset(["pdf", "docx", "odt", "txt", "csv", "md", "log", "ini", "xml", "json", "html", "htm"])
_PICTURES = frozenset(["png", "jpg", "jpeg", "gif", "webp", "bmp", "tif", "tiff"])


def is_shown(path: str) -> bool:
    return _ending(path) in _WORDS | _PICTURES


def has_words(path: str) -> bool:
    """Whether two versions of it can be compared."""
    return _ending(path) in _WORDS


def _ending(path: str) -> str:
    return path.rpartition("/")[2].rpartition(".")[2].lower()
