"""The pages of man(1), one for each command that a person types, with all its verbs: written from the commands.

    python3 -m appliance_lab.pages.manual VERSION FOLDER

writes `FOLDER/appliance/appliance*.1` and, of the commands that come with the test bench, `FOLDER/appliance-lab/*.1`: a
folder for each Debian package.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from inspect import cleandoc
from pathlib import Path

import click

from appliance.cli.commands import PROGRAM, Entry
from appliance.cli.main import EXIT_CODES, root
from appliance.cli.options import STATE_VARIABLE, common_options
from appliance_lab.pages.commands import arguments, meaning, own_options, takes, walk

NODE, BENCH = PROGRAM, f"{PROGRAM}-lab"
"""The Debian packages that the pages go into."""
PURPOSE = "keep each other's data safe among neighbouring town halls"
FILES = {
    "/etc/appliance/state": "The state folder of the node that this host is.",
    "/srv/appliance/node": "The state folder, unless another was chosen.",
    "/usr/share/appliance/runbooks": "A page for each alert and each check, in French.",
}
CODE = re.compile(r"`([^`]+)`")


def pages(version: str) -> Mapping[str, Mapping[str, str]]:
    """For each Debian package the text of each page by the name of its file."""
    found: dict[str, dict[str, str]] = {NODE: {f"{PROGRAM}.1": _overview(version)}, BENCH: {}}
    for name, entry in root.listed.items():
        package = BENCH if entry.of_the_lab else NODE
        found[package][f"{PROGRAM}-{name}.1"] = _page(name, entry, version)
    return found


def write(version: str, folder: Path) -> None:
    for package, texts in pages(version).items():
        (folder / package).mkdir(parents=True)
        for name, text in texts.items():
            (folder / package / name).write_text(text)


def _overview(version: str) -> str:
    commands = {
        rf"\fB{_plain(f'{PROGRAM}-{name}')}\fR(1)": _text(entry.help)
        for name, entry in root.listed.items()
        if not entry.of_the_lab
    }
    lines = (
        *_head(PROGRAM, PURPOSE, version),
        ".SH SYNOPSIS",
        rf"\fB{PROGRAM}\fR [\fIOPTION\fR ...] \fICOMMAND\fR [\fIARGUMENT\fR ...]",
        ".SH DESCRIPTION",
        *_paragraphs(root.help or ""),
        *_paragraphs("Results go to standard output, messages to standard error."),
        ".SH COMMANDS",
        *_listed(commands),
        *_common(),
        ".SH EXIT STATUS",
        *_listed({str(code): _text(sentence) for code, sentence in EXIT_CODES.items()}),
        ".SH ENVIRONMENT",
        *_listed({rf"\fB{STATE_VARIABLE}\fR": "The state folder of the node that a command is about."}),
        ".SH FILES",
        *_listed({rf"\fI{_plain(file)}\fR": _text(sentence) for file, sentence in FILES.items()}),
    )
    return "\n".join(lines) + "\n"


def _page(name: str, entry: Entry, version: str) -> str:
    command = root.get_command(click.Context(root), name)
    assert command is not None
    lines = [*_head(f"{PROGRAM}-{name}", entry.help.rstrip("."), version), ".SH SYNOPSIS"]
    if isinstance(command, click.Group):
        lines += [rf"\fB{PROGRAM} {name}\fR \fIVERB\fR [\fIARGUMENT\fR ...]", ".SH DESCRIPTION"]
        lines += [*_paragraphs(command.help or ""), ".SH VERBS"]
        for words, verb in walk(command, (name,)):
            lines += [f".SS {_synopsis(words, verb)}", *_paragraphs(verb.help or ""), *_options(own_options(verb))]
    else:
        lines += [_synopsis((name,), command), ".SH DESCRIPTION", *_paragraphs(command.help or "")]
    lines += _common(() if isinstance(command, click.Group) else own_options(command))
    lines += [".SH EXIT STATUS", rf"The codes of \fB{PROGRAM}\fR(1), unless others stand above.", ".SH SEE ALSO"]
    return "\n".join([*lines, rf"\fB{PROGRAM}\fR(1)"]) + "\n"


def _head(name: str, purpose: str, version: str) -> Iterator[str]:
    yield f'.TH "{_plain(name.upper())}" "1" "" "{PROGRAM} {_plain(version)}"'
    yield ".SH NAME"
    yield rf"{_plain(name)} \- {_text(purpose)}"


def _synopsis(words: Iterable[str], command: click.Command) -> str:
    options = [r"[\fIOPTION\fR ...]"] if own_options(command) else []
    shown = [rf"\fB{_plain(' '.join((PROGRAM, *words)))}\fR", *options]
    return " ".join([*shown, *(rf"\fI{_plain(it)}\fR" for it in arguments(command))])


def _common(own: Iterable[click.Option] = ()) -> Iterator[str]:
    yield ".SH OPTIONS"
    yield from _options(own)
    yield from _paragraphs("Each command also takes these, before or after its name:")
    yield from _options(common_options())


def _options(options: Iterable[click.Option]) -> Iterator[str]:
    terms = {}
    for option in options:
        value = f" \\fI{_plain(takes(option))}\\fR" if takes(option) else ""
        terms[rf"\fB{_plain(', '.join(option.opts))}\fR{value}"] = _text(meaning(option))
    return _listed(terms)


def _listed(terms: Mapping[str, str]) -> Iterator[str]:
    for term, text in terms.items():
        yield from (".TP", term, text)


def _paragraphs(text: str) -> Iterator[str]:
    """`text` as click takes it: paragraphs, of which one that begins with a backspace keeps its lines."""
    for paragraph in re.split(r"\n\s*\n", cleandoc(text).replace("\f", "\n\n").strip()):
        yield ".PP"
        lines = paragraph.splitlines()
        if lines[0].strip() == "\b":
            yield from (".nf", *map(_text, lines[1:]), ".fi")
        else:
            yield _text(" ".join(lines))


def _text(text: str) -> str:
    """A sentence for troff, what stands in backquotes in bold."""
    line = CODE.sub(lambda code: rf"\fB{_plain(code[1])}\fR", _unmarked(text))
    return rf"\&{line}" if line[:1] in (".", "'") else line


def _unmarked(text: str) -> str:
    """`text` with troff's signs escaped outside backquotes, whose content `_plain` escapes."""
    return "".join(it if at % 2 else _plain(it) for at, it in enumerate(re.split(r"(`[^`]*`)", text)))


def _plain(text: str) -> str:
    """`text` such that each sign is printed as it is, and can be copied to a shell."""
    signs = {"\\": r"\e", "-": r"\-", "'": r"\(aq", "`": r"\(ga", "^": r"\(ha", "~": r"\(ti", '"': r"\(dq"}
    return "".join(signs.get(sign, sign) for sign in text)


@click.command()
@click.argument("version")
@click.argument("folder", type=click.Path(path_type=Path))
def main(version: str, folder: Path) -> None:
    write(version, folder)


if __name__ == "__main__":
    main()
