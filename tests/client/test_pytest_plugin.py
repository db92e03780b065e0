"""Pytest plugin: what a run of pytest imports because of it."""

import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

_UNUSED = """
import sys

def test_nothing_is_imported():
    heavy = {"requests", "urllib3", "configsvc_client", "asyncio"}
    assert not heavy & sys.modules.keys()
"""

_USED = """
def test_the_fixture_is_there(config_client):
    config_client.set("billing", "database", {"pool_size": 10})
    assert config_client.application("billing")["database"]["pool_size"] == 10
"""


def run(folder: Path, text: str, *arguments: str) -> None:
    """Run pytest over one file, with this plugin and no other."""
    (folder / "test_sample.py").write_text(text)
    completed = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments, str(folder)],
        env={"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PATH": ""},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert completed.returncode == 0, completed.stdout + completed.stderr


@pytest.mark.slow
def test_a_run_without_the_fixture_imports_nothing_for_it(tmp_path: Path) -> None:
    run(tmp_path, _UNUSED, "-p", "configsvc_client")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["configsvc_client", "configsvc_client.pytest_plugin"])
def test_the_fixture_is_found_by_either_name(tmp_path: Path, name: str) -> None:
    run(tmp_path, _USED, "-p", name)


@pytest.mark.slow
def test_both_names_in_one_run_do_no_harm(tmp_path: Path) -> None:
    run(tmp_path, _USED, "-p", "configsvc_client", "-p", "configsvc_client.pytest_plugin")


def test_pytest_finds_it_by_itself() -> None:
    (found,) = entry_points(group="pytest11", name="configsvc_client")
    assert found.value == "configsvc_client_pytest"
