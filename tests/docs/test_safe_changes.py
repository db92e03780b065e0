"""docs/safe-changes.md can be typed as it stands, and prints what it says.

``curl`` and ``bash`` have to be there for the first half. Without them its test is skipped, and
says so; in CI it fails.
"""

import os
import re
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path

import pytest

from configsvc_client import ConfigClient
from tests.docs.walkthrough import (
    Example,
    UnreadableError,
    blocks,
    examples,
    mismatch,
    run_in_bash,
    run_in_python,
)
from tests.support.servers import RunningServer, clean_environment

DOCUMENT = (Path(__file__).parents[2] / "docs" / "safe-changes.md").read_text(encoding="utf-8")
DOCUMENTED_URL = "http://localhost:8080"


@pytest.fixture
def environment(tmp_path: Path) -> Mapping[str, str]:
    """The variables of a user without settings of their own; ``python3`` is this Python."""
    kept = {k: v for k, v in clean_environment().items() if not k.startswith("COVERAGE_")}
    path = os.pathsep.join([str(Path(sys.executable).parent), kept["PATH"]])
    return {**kept, "PATH": path, "HOME": str(tmp_path), "no_proxy": "*", "PYTHONUTF8": "1"}


@pytest.fixture
def _programs() -> None:
    missing = [program for program in ("bash", "curl") if not shutil.which(program)]
    if missing:
        # Whoever has nothing but Python and make can do without; where it counts, nobody can.
        say = pytest.fail if os.environ.get("CI") else pytest.skip
        say(f"Install {' and '.join(missing)}: the first half of the document needs them.")


def typed(language: str, server: RunningServer) -> list[Example]:
    """What the document has for people to type, against a server of the test's own."""
    found = examples(DOCUMENT.replace(DOCUMENTED_URL, server.url), language)
    assert found
    return found


def what_is_wrong(typed: Sequence[Example], outputs: Iterable[str]) -> str:
    """The first mismatch only: those after it mostly follow from it."""
    for example, printed in zip_longest(typed, outputs, fillvalue="(the session has ended)\n"):
        assert isinstance(example, Example)
        found = mismatch(example, printed)
        if found:
            return found
    return ""


def applications(server: RunningServer) -> list[str]:
    with ConfigClient(server.url) as client:
        return [application.name for application in client.applications.list()]


class TestTheDocument:
    @pytest.mark.usefixtures("_programs")
    def test_its_commands_print_what_it_says(
        self, live_server: RunningServer, environment: Mapping[str, str], tmp_path: Path
    ) -> None:
        session = typed("console", live_server)

        found = what_is_wrong(session, run_in_bash(session, cwd=tmp_path, environment=environment))

        if found:
            pytest.fail(found, pytrace=False)
        assert applications(live_server) == []
        assert [path.name for path in tmp_path.iterdir()] == ["session.sh"]

    def test_its_python_prints_what_it_says(
        self, live_server: RunningServer, environment: Mapping[str, str]
    ) -> None:
        session = typed("pycon", live_server)

        found = what_is_wrong(session, run_in_python(session, environment=environment))

        if found:
            pytest.fail(found, pytrace=False)
        assert applications(live_server) == []


class TestReading:
    def test_finds_commands_and_their_outputs(self) -> None:
        document = (
            "# Title\n\n```console\n$ echo a\na\n\n$ x='1\n2' \\\n  true\n$ echo $x\n```\n"
            "text\n```pycon\n>>> for n in (1, 2):\n...     print(n)\n1\n2\n>>> 3\n3\n```\n"
        )

        assert examples(document, "console") == [
            Example(4, "echo a", "a\n\n"),
            Example(7, "x='1\n2' \\\n  true", ""),
            Example(10, "echo $x", ""),
        ]
        assert examples(document, "pycon") == [
            Example(14, "for n in (1, 2):\n    print(n)\n", "1\n2\n"),
            Example(18, "3\n", "3\n"),
        ]

    @pytest.mark.parametrize(
        ("document", "reason"),
        [
            ("\n```sh\nls\n```\n", "line 2: nothing runs a block of 'sh'"),
            ("```\nls\n```\n", "line 1: nothing runs a block of ''"),
            ("\n```console\n$ ls\n", "line 2: this block is not closed"),
            ("```console\nls\n```\n", "line 2: nothing was typed that prints this"),
            ("```pycon\n1\n```\n", "line 2: nothing was typed that prints this"),
            ("```console\n$ echo 'a\n$ ls\n```\n", "line 2: this command does not end"),
        ],
    )
    def test_refuses_what_it_would_not_run(self, document: str, reason: str) -> None:
        with pytest.raises(UnreadableError, match=f"^{re.escape(reason)}$"):
            [block.examples() for block in blocks(document)]


class TestComparing:
    @pytest.mark.parametrize(
        ("says", "is_"),
        [
            ("a\n", "a"),
            ("", ""),
            ('{"id":"…","n":1}\n', '{"id":"01M8","n":1}\n'),
            ("a\n  …\nb\n", "a\n1\n2\nb\n"),
            ("a\n…\nb\n", "a\nb\n"),
            ("a…\n", "a\n"),
        ],
    )
    def test_takes_what_fits(self, says: str, is_: str) -> None:
        assert mismatch(Example(1, "x", says), is_) is None

    @pytest.mark.parametrize(
        ("says", "is_"),
        [
            ("a\n", "b\n"),
            ("a\n", ""),
            ("", "a\n"),
            ("a\n", "a\n\n"),
            ("a\n", " a\n"),
            ("a.c\n", "abc\n"),
            ("a…c\n", "a\nc\n"),
            ("a\n…\nb\n", "a\nb\nc\n"),
            ('{"id":"…","n":1}\n', '{"id":"01M8","n":10}\n'),
        ],
    )
    def test_notices_what_does_not(self, says: str, is_: str) -> None:
        found = mismatch(Example(17, "make it", says), is_)

        assert found is not None
        assert found.startswith("line 17 of the document: make it\n")


class TestRunning:
    @pytest.mark.usefixtures("_programs")
    def test_a_wrong_output_of_a_command_is_noticed(
        self, environment: Mapping[str, str], tmp_path: Path
    ) -> None:
        session = examples("```console\n$ x=1\n$ echo $x\n1\n$ echo $x\n2\n```\n", "console")

        found = what_is_wrong(session, run_in_bash(session, cwd=tmp_path, environment=environment))

        assert found.startswith("line 5 of the document: echo $x\n")

    @pytest.mark.usefixtures("_programs")
    def test_so_are_errors_and_the_end_of_the_session(
        self, environment: Mapping[str, str], tmp_path: Path
    ) -> None:
        session = examples("```console\n$ nonesuch\n$ exit\n$ echo\n```\n", "console")

        outputs = run_in_bash(session, cwd=tmp_path, environment=environment)

        assert "nonesuch" in outputs[0]
        assert what_is_wrong(session[1:], outputs[1:]).startswith("line 4 of the document: echo\n")

    def test_a_wrong_output_of_python_is_noticed(self, environment: Mapping[str, str]) -> None:
        session = examples("```pycon\n>>> x = 1\n>>> x\n1\n>>> x\n2\n```\n", "pycon")

        found = what_is_wrong(session, run_in_python(session, environment=environment))

        assert found.startswith("line 5 of the document: x\n")

    def test_exceptions_are_shown_with_the_lines_of_the_document(
        self, environment: Mapping[str, str]
    ) -> None:
        session = examples("\n```pycon\n>>> 1 / 0\n```\n", "pycon")

        (printed,) = run_in_python(session, environment=environment)

        assert '"<document>", line 3' in printed
        assert printed.endswith("ZeroDivisionError: division by zero\n")
