"""``configsvc token`` and ``configsvc grant``, as an operator uses them."""

from pathlib import Path

import pytest

from tests.server.cli.support import run


@pytest.mark.parametrize(
    "arguments",
    [
        ("token", "create", "ops", "--admin"),
        ("token", "list"),
        ("token", "rotate", "ops"),
        ("token", "revoke", "ops"),
        ("grant", "create", "corp:alice", "reader"),
        ("grant", "list"),
        ("grant", "delete", "01M89PX6R8E5PJSX5XVE9P8QRV"),
    ],
    ids=" ".join,
)
def test_without_a_database_there_is_nothing_to_administer(
    tmp_path: Path, data_dir: Path, arguments: tuple[str, ...]
) -> None:
    """A token of a database that was made just for it would be refused by every server."""
    result = run(*arguments, "--data-dir", str(data_dir), cwd=tmp_path)

    assert result.returncode == 1
    assert result.stdout == ""
    assert f"There is no database in {data_dir}" in result.stderr
    assert not data_dir.exists()


@pytest.mark.parametrize("command", ["token", "grant"])
def test_the_help_has_each_example_on_a_line_of_its_own(tmp_path: Path, command: str) -> None:
    lines = run(command, "create", "--help", cwd=tmp_path).stdout.splitlines()

    examples = [line for line in lines if line.startswith(f"    configsvc {command} create ")]
    assert len(examples) == 2
    assert not any("\\b" in line for line in lines)
