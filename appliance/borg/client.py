"""Run borg 1.4 on one repository of this machine."""

from __future__ import annotations

import contextlib
import itertools
import os
import secrets
import shutil
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from appliance.borg import answers, argv, errors
from appliance.borg.contents import Contents, Examination, TooManyNames, check_way, examined, take_privileges
from appliance.borg.folder import set_sizes
from appliance.borg.model import Archive, Created, FileWarning, Item, Outline
from appliance.borg.resume import batches, exclude_file, is_complete
from appliance.borg.running import READ_TIMEOUT_SECONDS, WRITE_TIMEOUT_SECONDS, Running
from appliance.errors import IntegrityError, Refused, UsageError
from appliance.host.files import fsync_folder, make_private_folder


class Borg(Running):
    """borg on one repository. Writing verbs must run under a grant whose counters were checked (`borg.nonce`).

    Every verb raises the named errors of `borg.errors`. Locks of borgs proven dead are removed first; when a living
    process holds the lock for more than `lock_wait_seconds`, RepositoryLocked names it.
    """

    def init(self) -> None:
        """Make the repository and its key; whole or not at all: made beside its place and renamed, so a cut leaves
        no half of one (at most a keyfile that opens nothing)."""
        path = self.repository.path
        if self.repository.passphrase is None:
            raise Refused("a repository needs a passphrase in addition to its key.", where=str(path))
        if path.exists():
            raise errors.RepositoryExists("this path already exists.", where=str(path))
        make_private_folder(path.parent)
        make_private_folder(self.repository.base)
        aside = path.with_name(f".{path.name}.init")
        if aside.exists():
            shutil.rmtree(aside)
        make_private_folder(aside)  # borg may write in it, and not beside it
        Borg(replace(self.repository, path=aside))._write(argv.init(aside))
        set_sizes(aside / "config")
        os.rename(aside, path)
        fsync_folder(path.parent)

    def create(
        self,
        archive: str,
        paths: Sequence[str],
        *,
        cwd: Path,
        exclude: Sequence[str] = (),
        rate_limit_kib: int | None = None,
        checkpoint_seconds: int = 60,
        timestamp: str | None = None,
        comment: str = "",
        files_cache: bool = True,
        timeout_seconds: float = WRITE_TIMEOUT_SECONDS,
    ) -> Created:
        """Save `paths` (relative to `cwd`) as `archive`, with ACLs, xattrs and flags; what fails is in `warnings`.

        Sockets are never saved, and borg says nothing of it. After a cut, the next create reuses what the last
        checkpoint (every `checkpoint_seconds`, 0: none) had stored. `exclude` holds borg patterns.
        Without `files_cache` it neither learns nor forgets which files are unchanged.
        `comment` is kept with the archive, and seen by everybody on the machine while borg runs.
        `rate_limit_kib` limits what borg sends to a repository elsewhere; here borg 1.4 ignores it.
        """
        words = argv.create(
            self.repository.path,
            archive,
            paths,
            exclude=exclude,
            rate_limit_kib=rate_limit_kib,
            checkpoint_seconds=checkpoint_seconds,
            timestamp=timestamp,
            comment=comment,
            files_cache=files_cache,
        )
        result = self._write(words, cwd=cwd, warnings_allowed=True, timeout_seconds=timeout_seconds)
        try:
            return answers.created(result.stdout, answers.file_warnings(errors.messages(result)))
        except (ValueError, KeyError) as error:
            # 1 is borg's code for warnings, and Python's own for a program that could not even start.
            raise errors.BorgFailed(f"borg gave no answer: {result.tail()}", where=str(self.repository.path)) from error

    def archives(self, *, branches: bool = False) -> tuple[Archive, ...]:
        """All archives in the order in which they were made (`borg.names`), no checkpoints; or those of branches."""
        return answers.archives(self._read(argv.list_archives(self.repository.path)).stdout, branches=branches)

    def commented(self) -> tuple[Archive, ...]:
        """The same with the comment of each, and with the archives that say what others lack (`names.companion_of`)."""
        return answers.commented(self._read(argv.list_commented(self.repository.path)).stdout)

    def everything(self) -> tuple[Archive, ...]:
        """The same with the archives of branches and with those that were never finished (`names.is_checkpoint`)."""
        return answers.everything(self._read(argv.list_everything(self.repository.path)).stdout)

    def delete(self, names: Sequence[str]) -> None:
        """Forget just these archives; `compact` frees their space."""
        self._write(argv.delete(self.repository.path, names))
        self._examined.clear()  # other archives may get those names

    def items(
        self, archive: str, under: str | None = None, *, with_above: bool = False, exact: bool = True
    ) -> Iterator[Item]:
        """Every entry of `archive`, or `under` with all below it, in the archive's order, without holding them all.

        `with_above` are then all that `extract` would bring. Names are exact, bytes that are not UTF-8 included
        (see `borg.answers`). Not `exact`, each such byte is a "?": one of them costs as much as all the rest.
        """
        listing = self.matching(archive, argv.under(under, with_above=with_above))
        names = self._names(archive, under, with_above=with_above)
        with contextlib.closing(listing), contextlib.closing(names):
            read = 0
            for index, item in enumerate(listing):
                if not exact or ("?" not in item.path and "?" not in item.link_target):
                    yield item
                    continue
                named = next(itertools.islice(names, index - read, None))
                read = index + 1
                yield replace(item, path=named.path, link_target=named.link_target)

    def item(self, archive: str, path: str) -> Item:
        """The entry of exactly this path; raise PathMissing when there is none."""
        for item in self.matching(archive, [argv.full(path)]):
            return replace(item, path=path)
        raise errors.PathMissing(f'"{path}" is not in the archive {archive}.')

    def examined(
        self,
        archive: str,
        paths: Sequence[str] = (),
        *,
        alone: bool = False,
        exact: bool = False,
        on_item: Callable[[Item | Outline], None] | None = None,
    ) -> Examination:
        """All that an extraction of `paths` (none: everything) would write, seen by one listing; `alone`: without what
        is below them and above. Raise IntegrityError when it could write elsewhere than in its folder.

        This object remembers it, so that the extraction which follows does not list the archive again: while its name
        is there, an archive never changes. `on_item` sees each entry, and has it listed; of a name that is not UTF-8 it
        may see one with "?" before the exact one. `exact` are the names that `Examination.found` tells.
        """
        asked = archive, tuple(paths), alone
        known = None if exact or on_item else self._examined.get(asked)
        seen = known or self._examine(archive, paths, alone=alone, exact=exact, on_item=on_item or (lambda item: None))
        self._examined[asked] = seen
        return seen

    def _examine(
        self,
        archive: str,
        paths: Sequence[str],
        *,
        alone: bool,
        exact: bool,
        on_item: Callable[[Item | Outline], None],
    ) -> Examination:
        wanted = frozenset(() if alone else paths)
        patterns = [argv.full(path) for path in paths] if alone else argv.members(paths)
        listings = (self._outlines(archive, them) for them in batches(patterns))
        try:
            if not exact:
                return examined(itertools.chain.from_iterable(listings), wanted, on_item)
        except TooManyNames:
            raise
        except IntegrityError:
            pass
        # Two names that are not UTF-8 look alike in a listing; read exactly, nothing may be wrong.
        every = self.items(archive)
        return examined(
            (it for it in every if not paths or _is_wanted(it.path, frozenset(paths), alone=alone)), wanted, on_item
        )

    def extract(
        self,
        archive: str,
        paths: Sequence[str],
        into: Path,
        *,
        numeric_ids: bool = False,
        privileges: bool = True,
        allow: Callable[[Contents], None] = lambda contents: None,
    ) -> tuple[FileWarning, ...]:
        """Restore `paths` with all below them (none: everything) below the folder `into`; sparse.

        The folders above a path come with their own attributes. All of it is examined first: raise IntegrityError, with
        nothing written, when something would come to lie elsewhere. `allow` may raise when it is too much. Without
        `privileges` no file keeps a setuid or setgid bit.

        Resumable: a file that is there with the same size and time is left (borg sets the time last). `into` must be a
        folder of ours, that nobody else writes. Raise WayBlocked for a symlink in it that borg would follow, and
        PathMissing for a path that is not in the archive. Owners are restored by name, or by number with `numeric_ids`,
        as root only.
        """
        into.mkdir(mode=0o700, parents=True, exist_ok=True)
        seen = self.examined(archive, paths)
        allow(seen.contents())
        complete: frozenset[str] = frozenset()
        if any(into.iterdir()):
            if any("?" in it for it in seen.folders):  # what lies there is looked for by its exact name
                seen = self.examined(archive, paths, exact=True)
            check_way(into, seen.folders)
            complete = self._complete(archive, paths, into)
        warnings: list[FileWarning] = []
        with exclude_file(complete, self.repository.base) as exclude_from:
            for patterns in batches(argv.members(paths)):
                words = argv.extract(
                    self.repository.path, archive, patterns, numeric_ids=numeric_ids, exclude_from=exclude_from
                )
                result = self._read(words, cwd=into, warnings_allowed=True)
                missing = [path for path in answers.never_matched(errors.messages(result)) if path not in complete]
                if missing:
                    raise errors.PathMissing(f'"{missing[0]}" is not in the archive {archive}.')
                warnings += answers.file_warnings(errors.messages(result))
        if not paths and seen.root:
            self._finish_root(archive, into, numeric_ids)
        if seen.privileged and not privileges:
            take_privileges(into)
        return tuple(warnings)

    def extract_only(self, archive: str, paths: Sequence[str], into: Path, seen: Examination | None = None) -> None:
        """Write again those of `paths` that are in the archive, without what is below them, in their order.

        They are examined first, as in `extract`; or all of the archive was, as `seen` here. None keeps a setuid bit.
        """
        if not paths:
            return
        seen = seen or self.examined(archive, paths, alone=True)
        check_way(into, seen.folders)
        for them in batches([argv.full(path) for path in paths]):
            words = argv.extract(self.repository.path, archive, them, numeric_ids=False, exclude_from=None)
            self._read(words, cwd=into, warnings_allowed=True)
        if seen.privileged:
            take_privileges(into, paths)

    def differences(self, before: str, after: str) -> frozenset[str]:
        """The paths that are not the same in both, by content, attributes or times. Bytes not UTF-8 are "?"."""
        with self._lines(argv.differences(self.repository.path, before, after)) as lines:
            return frozenset(map(answers.changed_path, lines))

    def extract_to(self, archive: str, path: str, sink: BinaryIO) -> int:
        """Write the content of the file `path` to `sink` and return its bytes.

        borg writes nothing, and says nothing, for a second hard link, a folder or a path that is not there; so an
        empty answer is looked up. Raise PathMissing, or UsageError when it is no file.
        """
        written = self._copy(argv.extract_to_stdout(self.repository.path, archive, path), sink)
        if written:
            return written
        item = self.item(archive, path)
        if item.kind == "hardlink":
            return self._copy(argv.extract_to_stdout(self.repository.path, archive, item.link_target), sink)
        if item.kind != "file":
            raise UsageError(f'"{path}" is a {item.kind}, not a file.', remedy="Restore it to a folder.")
        return 0

    def read_through(self, archive: str, paths: Sequence[str]) -> None:
        """Decrypt and authenticate all that the files `paths` are made of, writing nothing.

        Raise RepositoryDamaged, or PathMissing when one is not there: borg itself passes over such a pattern.
        """
        for patterns in batches([argv.full(path) for path in paths]):
            result = self._read(argv.read_through(self.repository.path, archive, patterns))
            missing = len(set(patterns)) - answers.listed(result.stderr)
            if missing > 0:
                raise errors.PathMissing(f"{missing} of {len(patterns)} files are not in the archive {archive}.")

    def sha256_of(self, archive: str, paths: Sequence[str]) -> dict[str, str]:
        """The SHA-256 of the content of each file of `paths`, as borg reads it; for a second hard link it is "".

        Names with a "?" are left out: in a listing any byte that is not UTF-8 is one, so they could be another's.
        """
        found: dict[str, str] = {}
        for patterns in batches([argv.full(path) for path in paths]):
            with self._lines(argv.list_hashes(self.repository.path, archive, patterns)) as lines:
                found |= dict(map(answers.hash_of, lines))
        return {path: found[path] for path in paths if path in found and "?" not in path}

    def compact(self, threshold_percent: int = 50) -> None:
        """Free the space of forgotten data in segments of which more than `threshold_percent` is free; needs no key."""
        self._write(argv.compact(self.repository.path, threshold_percent))

    def check_repository(self) -> None:
        """Verify the CRC of every stored object; needs no key. Raise RepositoryDamaged."""
        self._check(argv.check_repository(self.repository.path))

    def check_archives(self, verify_data: bool = False) -> None:
        """Verify the metadata of every archive, and with `verify_data` decrypt everything. Raise RepositoryDamaged.

        A fresh copy gets its index first (`recover`): a check that rebuilds it by itself crashes in borg 1.4.
        """
        self.recover()
        self._check(argv.check_archives(self.repository.path, verify_data))

    def recover(self) -> None:
        """Bring a transaction that was cut to rest: keep what was committed, forget the rest (`borg.segments`)."""
        self._read(argv.recover(self.repository.path))

    def matching(self, archive: str, patterns: Sequence[str]) -> Generator[Item]:
        with self._lines(argv.list_items(self.repository.path, archive, patterns)) as lines:
            for line in lines:
                yield answers.item(line)

    def _outlines(self, archive: str, patterns: Sequence[str]) -> Generator[Outline]:
        end = f"<{secrets.token_hex(16)}>"
        words = argv.list_outlines(self.repository.path, archive, patterns, end)
        with self._lines(words, end.encode()) as records:
            for record in records:
                yield answers.outline(record.removesuffix(end.encode()))

    def _names(self, archive: str, under: str | None, *, with_above: bool) -> Generator[answers.Names]:
        with self._lines(argv.dump_archive(self.repository.path, archive)) as lines:
            for names in answers.exact_names(lines):
                path = names.path
                if under is None or answers.is_below(path, under) or (with_above and answers.is_below(under, path)):
                    yield names

    def _complete(self, archive: str, paths: Sequence[str], into: Path) -> frozenset[str]:
        """The files under `into` that need no second extraction; never one of several hard links: borg would make the
        others files of their own. A name that is not UTF-8 is extracted again."""
        complete: set[str] = set()
        linked: set[str] = set()
        for patterns in batches(argv.members(paths)):
            for item in self.matching(archive, patterns):
                if item.kind == "hardlink":
                    linked.add(item.link_target)
                elif item.kind == "file" and "?" not in item.path and is_complete(item, into / item.path):
                    complete.add(item.path)
        return frozenset(complete - linked)

    def _finish_root(self, archive: str, into: Path, numeric_ids: bool) -> None:
        """borg sets the time of "." before it writes what is in it; extracted once more alone, it is right."""
        root = [argv.full(".")]
        words = argv.extract(self.repository.path, archive, root, numeric_ids=numeric_ids, exclude_from=None)
        Borg(self.repository)._read(words, cwd=into, warnings_allowed=True)

    def _copy(self, words: tuple[str, ...], sink: BinaryIO) -> int:
        written = 0
        with contextlib.closing(self._stream(words)) as chunks:
            for chunk in chunks:
                written += sink.write(chunk)
        return written

    def _check(self, words: tuple[str, ...]) -> None:
        result = self._run(words, READ_TIMEOUT_SECONDS)
        if result.exit_code == 1:
            found = [message.text for message in errors.messages(result) if message.level == "ERROR"]
            raise errors.RepositoryDamaged(
                f"borg check found damage: {found[0] if found else result.tail()}",
                where=str(self.repository.path),
                remedy="Do not repair it: adopt the newest generation that verifies.",
            )
        self._raise_on_failure(result, warnings_allowed=False)


def _is_wanted(path: str, paths: frozenset[str], *, alone: bool) -> bool:
    if alone:
        return path in paths
    return any(answers.is_below(path, it) or answers.is_below(it, path) for it in paths)
