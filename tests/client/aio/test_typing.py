"""Typing: what a type checker knows of the async face."""

from pathlib import Path

import pytest

from tests.client.test_typing import check

SAMPLE = Path(__file__).with_name("sample_app.py")

MISTAKES = {
    "ready(timeout=5)": ('ready(timeout="5")', 'Argument "timeout"'),
    'token="t"': ('tokn="t"', 'Unexpected keyword argument "tokn"'),
    "app.on_change(report,": ("app.on_change(follow,", 'Argument 1 to "on_change"'),
    "database.on_change(resize)": ("database.on_change(report)", 'Argument 1 to "on_change"'),
    "await client.configurations.find": ("client.configurations.find", "Incompatible types in"),
    'found, config={"port": 1}': ("found, config=1", "No overload variant"),
    '"billing", "database", config={"port": 2}': ('"billing", config=2', "No overload variant"),
    "revision.message": ("revision.mesage", 'has no attribute "mesage"'),
    "entry.actor": ("entry.author", 'has no attribute "author"'),
    "change.configurations": ("change.names", 'has no attribute "names"'),
}


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
