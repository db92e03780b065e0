"""Settings as flags, variables and lines of ``.env``."""

from pathlib import Path

import pytest

from configsvc_server.settings import Settings
from tests.server.cli.support import run


class TestErrors:
    @pytest.mark.parametrize(
        ("arguments", "expected"),
        [
            (["--port", "http"], "--port is 'http': "),
            (["--port", "70000"], "--port is '70000': "),
            (["--threads", "0"], "--threads is '0': "),
            (["--log-level", "loud"], "--log-level is 'loud': "),
            (["--cors-origins", "*,https://a.example"], "--cors-origins is "),
            (["--cors-origins", "a.example"], "'a.example' is no origin such as"),
            (["--allowed-hosts", "*,a.example"], "--allowed-hosts is "),
            (["--allowed-hosts", "https://a.example"], "'https://a.example' is no host name"),
            (["--allowed-hosts", "a.example:80"], "'a.example:80' is no host name"),
            (["--allowed-hosts", "a.*.example"], "'a.*.example' is no host name"),
            (["--database-url", "mysql://secret@x"], "--database-url: must be like postgresql://"),
        ],
    )
    def test_a_wrong_value_is_one_clear_line(
        self, tmp_path: Path, arguments: list[str], expected: str
    ) -> None:
        result = run("serve", *arguments, cwd=tmp_path)

        assert result.returncode == 1
        assert result.stdout == ""
        [line] = result.stderr.splitlines()
        assert line.startswith("configsvc: ")
        assert expected in line
        assert "secret" not in line

    def test_the_source_of_a_wrong_value_is_named(self, tmp_path: Path) -> None:
        (tmp_path / ".env").write_text("CONFIGSVC_THREADS=many\n")

        result = run("serve", cwd=tmp_path, variables={"CONFIGSVC_PORT": "x"})

        assert min(result.stderr.splitlines()).startswith("configsvc: CONFIGSVC_PORT is 'x'")
        assert "CONFIGSVC_THREADS in .env is 'many'" in result.stderr


class TestHelp:
    def test_every_setting_is_explained_with_its_variable(self, tmp_path: Path) -> None:
        text = run("serve", "--help", cwd=tmp_path).stdout

        for name in Settings.model_fields:
            assert f"--{name.replace('_', '-')}" in text
            assert f"CONFIGSVC_{name.upper()}" in text

    def test_the_example_of_a_file_has_every_setting(self) -> None:
        text = (Path(__file__).parents[3] / ".env.example").read_text()

        for name in Settings.model_fields:
            assert f"CONFIGSVC_{name.upper()}=" in text

    def test_the_retention_of_the_fleet_is_shown_in_days(self, tmp_path: Path) -> None:
        result = run("serve", "--help", cwd=tmp_path)

        assert "--fleet-retention DAYS" in result.stdout
