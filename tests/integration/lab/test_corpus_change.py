"""A change touches about what was asked, differs from the one before, and can be told again."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.errors import UsageError
from appliance.units import MIB
from appliance_lab.corpus import canaries, change, generate, tree_digest

SIZE, FILES, SEED = 8 * MIB, 400, 3


@pytest.fixture
def root(tmp_path: Path) -> Path:
    generate(tmp_path / "c", SIZE, FILES, SEED)
    return tmp_path / "c"


def contents(root: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and not path.is_symlink()
    }


def test_the_same_changes_give_the_same_tree(root: Path, tmp_path: Path) -> None:
    generate(tmp_path / "other", SIZE, FILES, SEED)
    digests = []
    for _ in range(3):
        change(root, 0.02)
        change(tmp_path / "other", 0.02)
        assert tree_digest(root) == tree_digest(tmp_path / "other")
        digests.append(tree_digest(root))
    assert len(set(digests)) == 3


@pytest.mark.parametrize("ratio", [0.01, 0.05, 0.3])
def test_about_the_ratio_is_new(root: Path, ratio: float) -> None:
    before = contents(root)
    summary = change(root, ratio)
    known = set(before.values())
    new = sum(
        len(content) - (len(before[path]) if path in before and content.startswith(before[path]) else 0)
        for path, content in contents(root).items()
        if content not in known
    )
    assert new == pytest.approx(ratio * SIZE, rel=0.15)
    assert summary.bytes_new == pytest.approx(ratio * SIZE, rel=0.15)


def test_each_kind_of_change_happens(root: Path) -> None:
    before = contents(root)
    summary = change(root, 0.05)
    after = contents(root)
    grown = [path for path in before if path in after and len(after[path]) > len(before[path])]
    assert {"sql", "log", "txt"} <= {path.rpartition(".")[2] for path in grown}
    assert all(after[path].startswith(before[path]) for path in grown if not path.endswith((".odt", ".docx", ".xlsx")))
    assert {"eml", "jpg"} <= {path.rpartition(".")[2] for path in after.keys() - before.keys()}
    gone = before.keys() - after.keys()
    assert len(gone) == summary.deleted + summary.renamed
    assert summary.deleted >= 1
    assert summary.renamed >= 1
    assert len(after) == len(before) + summary.added - summary.deleted
    assert summary.files == len(after)


def test_canaries_outlive_changes(root: Path) -> None:
    for _ in range(5):
        change(root, 0.2)
    everything = b"".join(contents(root).values())
    assert all(canary in everything for canary in canaries(SEED))


@pytest.mark.parametrize("ratio", [0.0, -0.1, 1.5])
def test_a_ratio_that_is_no_share_is_refused(root: Path, ratio: float) -> None:
    before = tree_digest(root)
    with pytest.raises(UsageError, match="share"):
        change(root, ratio)
    assert tree_digest(root) == before
