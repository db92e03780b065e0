"""A document as something to run: what is typed, what it prints, and on which line it is.

The fenced blocks are of two languages. In ``console``, a line that begins with ``$ `` is a
command, which goes on in the next lines while a quote or a backslash leaves it open. In
``pycon``, the prompts are those of Python. Everything else is output.

Outputs have to be exact, but for two things: ``…`` stands for any text within its line, or
for any lines where it is alone on its own; and the newline at the very end is not looked at,
since that of a block is always there.
"""

import json
import re
import secrets
import shlex
import subprocess
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

_FENCE = re.compile(r"^```(.*)$")
_LANGUAGES = ("console", "pycon")


class UnreadableError(Exception):
    """The document has a block that can't be run."""


@dataclass(frozen=True)
class Example:
    """Something to type, and what comes of it."""

    line: int
    """Where it is in the document, from 1."""
    source: str
    output: str


@dataclass(frozen=True)
class Block:
    """A fenced block."""

    line: int
    """Where its first line is, below the fence."""
    language: str
    text: str

    def examples(self) -> list[Example]:
        """Return what is typed in this block."""
        return list(_console(self) if self.language == "console" else _pycon(self))


def blocks(document: str) -> list[Block]:
    """Return the fenced blocks of a document, in order.

    Raises:
        UnreadableError: one is not closed, or of a language that is never run.
    """
    found = []
    start, language, held = 0, "", list[str]()
    for number, line in enumerate(document.splitlines(), 1):
        fence = _FENCE.match(line)
        if not start and fence:
            start, language, held = number + 1, fence[1], []
            if language not in _LANGUAGES:
                raise UnreadableError(f"line {number}: nothing runs a block of {language!r}")
        elif start and fence:
            found.append(Block(start, language, "".join(f"{held_line}\n" for held_line in held)))
            start = 0
        else:
            held.append(line)
    if start:
        raise UnreadableError(f"line {start - 1}: this block is not closed")
    return found


def examples(document: str, language: str) -> list[Example]:
    """Return all that is typed in a language, in order."""
    return [
        example
        for block in blocks(document)
        if block.language == language
        for example in block.examples()
    ]


def mismatch(example: Example, printed: str) -> str | None:
    """Tell where an output is not the one of the document, and how; ``None`` if it is."""
    expected, printed = example.output.removesuffix("\n"), printed.removesuffix("\n")
    if re.fullmatch(_pattern(expected), f"{printed}\n"):
        return None
    return (
        f"line {example.line} of the document: {example.source.rstrip()}\n"
        f"--- it says\n{expected}\n--- it is\n{printed}\n---"
    )


def _pattern(expected: str) -> str:
    return "".join(
        r"(?:.*\n)*" if line.strip() == "…" else ".*".join(map(re.escape, line.split("…"))) + r"\n"
        for line in expected.split("\n")
    )


def run_in_bash(
    typed: Sequence[Example], *, cwd: Path, environment: Mapping[str, str], timeout: float = 60
) -> list[str]:
    """Return what each command prints, errors included, all in one session of bash.

    A command that ends the session leaves those after it without an output.

    Raises:
        subprocess.TimeoutExpired: they take too long.
    """
    mark = secrets.token_hex(16)
    script = cwd / "session.sh"
    script.write_text(
        "".join(f"{example.source}\nprintf {mark}\n" for example in typed), encoding="utf-8"
    )
    done = subprocess.run(
        ["bash", script],
        cwd=cwd,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        timeout=timeout,
        check=False,
    )
    return done.stdout.split(mark)[: len(typed)]


def run_in_python(
    typed: Sequence[Example], *, environment: Mapping[str, str], timeout: float = 60
) -> list[str]:
    """Return what each statement prints, as the interpreter shows it, all in one namespace.

    It is an interpreter of its own, so that nothing of this process gets among the output.

    Raises:
        subprocess.TimeoutExpired: they take too long.
    """
    done = subprocess.run(
        [sys.executable, __file__],
        env=environment,
        input=json.dumps([(example.line, example.source) for example in typed]),
        stdout=subprocess.PIPE,
        encoding="utf-8",
        timeout=timeout,
        check=True,
    )
    outputs: list[str] = json.loads(done.stdout)
    return outputs


def _interpret() -> None:
    names: dict[str, Any] = {"__name__": "__main__"}
    outputs = []
    for line, source in json.load(sys.stdin):
        screen = StringIO()
        with redirect_stdout(screen), redirect_stderr(screen):
            try:
                # With so many blank lines, tracebacks have the line numbers of the document.
                statement = compile("\n" * (line - 1) + source, "<document>", "single")
                exec(statement, names)
            except Exception:  # noqa: BLE001 - whatever it is, the document may show it
                traceback.print_exc()
        outputs.append(screen.getvalue())
    json.dump(outputs, sys.stdout)


def _console(block: Block) -> Iterator[Example]:
    source: list[str] = []
    output = ""
    line = block.line
    for number, text in enumerate(block.text.splitlines(), block.line):
        if source and _is_open(source):
            source.append(text)
        elif text.startswith("$ "):
            if source:
                yield Example(line, "\n".join(source), output)
            line, source, output = number, [text.removeprefix("$ ")], ""
        elif source:
            output += f"{text}\n"
        else:
            raise UnreadableError(f"line {number}: nothing was typed that prints this")
    if source and _is_open(source):
        raise UnreadableError(f"line {line}: this command does not end")
    if source:
        yield Example(line, "\n".join(source), output)


def _is_open(command: Sequence[str]) -> bool:
    """Whether a quote is not closed, or the last line ends with a backslash."""
    try:
        shlex.split("\n".join(command))
    except ValueError:
        return True
    return False


def _pycon(block: Block) -> Iterator[Example]:
    source: list[str] = []
    output = ""
    line = block.line
    for number, text in enumerate(block.text.splitlines(), block.line):
        if text.startswith(">>> "):
            if source:
                yield Example(line, "\n".join(source) + "\n", output)
            line, source, output = number, [text.removeprefix(">>> ")], ""
        elif source and not output and (text == "..." or text.startswith("... ")):
            source.append(text[4:])
        elif source:
            output += f"{text}\n"
        else:
            raise UnreadableError(f"line {number}: nothing was typed that prints this")
    if source:
        yield Example(line, "\n".join(source) + "\n", output)


if __name__ == "__main__":
    _interpret()
