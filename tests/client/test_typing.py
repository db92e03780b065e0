"""Typing: errors that a type checker finds in an application."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from mypy import api

SAMPLE = Path(__file__).with_name("sample_app.py")
CONFIG = Path(__file__).parents[2] / "pyproject.toml"

MISTAKES = {
    "settings.host": ("settings.hots", 'has no attribute "hots"'),
    'value["per_minute"]': ('value["per_minit"]', 'has no key "per_minit"'),
    "Mail).value.sender": ("Mail).value.sendr", 'has no attribute "sendr"'),
    "settings.port + 1": ('settings.port + "1"', "Unsupported operand types"),
    'app.bind("database", DatabaseSettings)': (
        'app.bind("database", "DatabaseSettings")',
        'expression has type "None"',
    ),
    "wait_until_ready(timeout=5)": ('wait_until_ready(timeout="5")', 'Argument "timeout"'),
    'app.on_change(report, "limits.per_minute")': (
        "app.on_change(connect)",
        'Argument 1 to "on_change"',
    ),
    'config={"per_minute": 60}': ("config=60", 'No overload variant of "update"'),
    "changed.version": ("changed.vresion", 'has no attribute "vresion"'),
    "subscription.cancel()": ("subscription.cancle()", 'has no attribute "cancle"'),
    "release(made, prod,": ("release(made, made,", 'Argument 2 to "release"'),
    'operation["op"]': ("operation.op", 'has no attribute "op"'),
    "revision.message": ("revision.mesage", 'has no attribute "mesage"'),
    "described.actor": ("described.author", 'has no attribute "author"'),
    "feed.cursor.strip()": ("feed.cursor.real", 'has no attribute "real"'),
    "schema_defaults=True": ("schema_defaults=1", 'No overload variant of "bind"'),
    'app.diff(environment="prod")': (
        "app.diff(environment=app)",
        'Argument "environment" to "diff"',
    ),
    "on_change(resized,": ("on_change(report,", 'Argument 1 to "on_change"'),
    "new.port + 1)": ("new.prot + 1)", 'has no attribute "prot"'),
    "call_now=True": ("call_now=1", 'Argument "call_now" to "on_change"'),
    "read_mail).value.sender": ("read_mail).value.sendr", 'has no attribute "sendr"'),
    "converter=read_mail": ("converter=main", 'Argument "converter" to "bind"'),
    'list(q="bill")': ("list(q=1)", 'Argument "q" to "list"'),
}


def check(*files: Path) -> tuple[str, int]:
    # The configuration of this repository names its own files and checks more than others do.
    output, errors, code = api.run(
        ["--strict", "--config-file", "", "--no-error-summary", *map(str, files)]
    )
    return output + errors, code


def pyright(folder: Path, *arguments: str) -> dict[str, Any]:
    """Run pyright as in a project of somebody else, and return what it says."""
    # It finds the interpreter whose packages it looks at by the path.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    completed = subprocess.run(
        [sys.executable, "-m", "pyright", "--outputjson", *arguments],
        cwd=folder,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert completed.stdout, completed.stderr
    found: dict[str, Any] = json.loads(completed.stdout)
    return found


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The sample, and the sample with each of the mistakes."""
    folder = tmp_path_factory.mktemp("samples")
    text = SAMPLE.read_text()
    files = {"": folder / "correct.py"}
    files[""].write_text(text)
    for index, (right, (wrong, _)) in enumerate(MISTAKES.items()):
        assert text.count(right) == 1, right
        files[right] = folder / f"mistake{index}.py"
        files[right].write_text(text.replace(right, wrong))
    (folder / "pyrightconfig.json").write_text('{"typeCheckingMode": "strict"}')
    return files


@pytest.fixture(scope="module")
def verdicts(samples: dict[str, Path]) -> dict[str, str]:
    """What mypy says about each sample."""
    output, _ = check(*samples.values())
    return {
        name: "\n".join(line for line in output.splitlines() if file.name in line)
        for name, file in samples.items()
    }


@pytest.fixture(scope="module")
def pyright_verdicts(samples: dict[str, Path]) -> dict[str, list[str]]:
    """What pyright says about each sample."""
    found = pyright(samples[""].parent)["generalDiagnostics"]
    return {
        name: [problem["message"] for problem in found if problem["file"] == str(file)]
        for name, file in samples.items()
    }


def test_correct_use_passes_in_strict_mode(verdicts: dict[str, str]) -> None:
    assert not verdicts[""]


@pytest.mark.parametrize("right", MISTAKES)
def test_a_mistake_is_found(verdicts: dict[str, str], right: str) -> None:
    assert MISTAKES[right][1] in verdicts[right]


def test_correct_use_passes_in_the_strict_mode_of_pyright(
    pyright_verdicts: dict[str, list[str]],
) -> None:
    assert pyright_verdicts[""] == []


@pytest.mark.parametrize("right", MISTAKES)
def test_a_mistake_is_found_by_pyright(pyright_verdicts: dict[str, list[str]], right: str) -> None:
    assert pyright_verdicts[right]


def test_the_public_names_have_complete_types(tmp_path: Path) -> None:
    verdict = pyright(tmp_path, "--verifytypes", "configsvc_client", "--ignoreexternal")
    symbols = [
        symbol
        for symbol in verdict["typeCompleteness"]["symbols"]
        # The SDK of OpenFeature is a namespace package, which this check does not see into.
        if symbol["isExported"] and ".openfeature_provider" not in symbol["name"]
    ]
    assert len(symbols) > 100
    unknown = [symbol["name"] for symbol in symbols if not symbol["isTypeKnown"]]
    assert len(unknown) <= 0.02 * len(symbols), unknown
