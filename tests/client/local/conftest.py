"""Fixtures of the tests of files."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from configsvc_client import ConfigView
from tests.client.conftest import MakeClient

MakeView = Callable[..., ConfigView]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the application ``billing``."""
    folder = tmp_path / "config"
    (folder / "billing").mkdir(parents=True)
    (folder / "billing" / "database.json").write_text('{"host": "db1", "pool_size": 10}')
    return folder


@pytest.fixture
def make_view(folder: Path, make_client: MakeClient) -> MakeView:
    """Makes views of ``billing`` over the folder."""

    def make(environment: str | None = None, **options: Any) -> ConfigView:
        client = make_client(f"file:{folder}", **options)
        return client.application("billing", environment=environment)

    return make
