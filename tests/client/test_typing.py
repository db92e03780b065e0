"""Typing: errors that a type checker finds in an application."""

from pathlib import Path

import pytest
from mypy import api

SAMPLE = Path(__file__).with_name("sample_app.py")
CONFIG = Path(__file__).parents[2] / "pyproject.toml"

MISTAKES = {
    "settings.host": ("settings.hots", 'has no attribute "hots"'),
    'value["per_minute"]': ('value["per_minit"]', 'has no key "per_minit"'),
    "value.sender": ("value.sendr", 'has no attribute "sendr"'),
    "settings.port + 1": ('settings.port + "1"', "Unsupported operand types"),
    'app.bind("database", DatabaseSettings)': (
        'app.bind("database", "DatabaseSettings")',
        'Argument 2 to "bind"',
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
    "schema_defaults=True": ("schema_defaults=1", 'Argument "schema_defaults" to "bind"'),
    'app.diff(environment="prod")': (
        "app.diff(environment=app)",
        'Argument "environment" to "diff"',
    ),
    'list(q="bill")': ("list(q=1)", 'Argument "q" to "list"'),
}


def check(*files: Path) -> tuple[str, int]:
    # The configuration of this repository names its own files and checks more than others do.
    output, errors, code = api.run(
        ["--strict", "--config-file", "", "--no-error-summary", *map(str, files)]
    )
    return output + errors, code


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What mypy says about the sample, and about it with each of the mistakes."""
    folder = tmp_path_factory.mktemp("samples")
    text = SAMPLE.read_text()
    files = {"": folder / "correct.py"}
    files[""].write_text(text)
    for index, (right, (wrong, _)) in enumerate(MISTAKES.items()):
        assert text.count(right) == 1, right
        files[right] = folder / f"mistake{index}.py"
        files[right].write_text(text.replace(right, wrong))
    output, _ = check(*files.values())
    return {
        name: "\n".join(line for line in output.splitlines() if file.name in line)
        for name, file in files.items()
    }


def test_correct_use_passes_in_strict_mode(verdicts: dict[str, str]) -> None:
    assert not verdicts[""]


@pytest.mark.parametrize("right", MISTAKES)
def test_a_mistake_is_found(verdicts: dict[str, str], right: str) -> None:
    assert MISTAKES[right][1] in verdicts[right]
