"""Examples of the documentation about changing safely, run."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from configsvc_client.testing import FakeConfigClient

TEXT = (Path(__file__).parents[2] / "docs" / "client.md").read_text()
SECTION = TEXT[TEXT.index("\n## Change safely\n") : TEXT.index("\n## Django")]


@dataclass
class DatabaseSettings:
    host: str
    pool_size: int = 5


@pytest.fixture
def names() -> dict[str, Any]:
    """What the examples refer to."""
    client = FakeConfigClient({"billing": {"database": {"host": "db1", "pool_size": 10}}})
    client.set("billing", "database", {"host": "db1", "pool_size": 20})
    saved: list[str] = []
    return {
        "client": client,
        "app": client.application("billing"),
        "DatabaseSettings": DatabaseSettings,
        "load_cursor": lambda: "",
        "save_cursor": saved.append,
        "announce": lambda _change: None,
        "saved": saved,
    }


def test_the_examples_work(names: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    blocks = re.findall(r"```python\n(.*?)```", SECTION, re.DOTALL)
    for block in blocks:
        exec(block, names)
    (shown,) = re.findall(r"```text\n(.*?)```", SECTION, re.DOTALL)
    assert shown in capsys.readouterr().out
    assert len(names["saved"]) == len(list(names["client"].changes.list(application="billing")))
