"""``configsvc`` itself."""

from pathlib import Path

from tests.server.cli.support import run


def test_the_version_is_shown(tmp_path: Path) -> None:
    assert run("--version", cwd=tmp_path).stdout.startswith("configsvc, version ")
