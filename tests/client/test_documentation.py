"""Examples of the documentation about changing safely and about the fleet, run."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from configsvc_client.testing import FakeConfigClient

TEXT = (Path(__file__).parents[2] / "docs" / "client.md").read_text()
SECTION = TEXT[TEXT.index("\n## Change safely\n") : TEXT.index("\n## The fleet")]
FLEET = TEXT[TEXT.index("\n## The fleet") : TEXT.index("\n## Django")]


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


class Once(FakeConfigClient):
    """Client that any arguments make, of the server that there is."""

    made: FakeConfigClient

    def __new__(cls, *_args: Any, **_options: Any) -> Any:
        return cls.made


def test_the_examples_of_the_fleet_work(capsys: pytest.CaptureFixture[str]) -> None:
    client = FakeConfigClient({"billing": {"database": {"host": "db1", "pool_size": 20}}})
    client.environments.create("billing", name="staging")
    client.environments.create("billing", name="prod", protected=True)
    client.releases.promote("billing", "staging", "prod")
    app = client.application("billing", environment="prod")
    app.bind("database", DatabaseSettings)
    Once.made = client
    names: dict[str, Any] = {
        "ConfigClient": Once,
        "DatabaseSettings": DatabaseSettings,
        "FakeConfigClient": FakeConfigClient,
    }
    first, promote, listed, replayed, tested = re.findall(r"```python\n(.*?)```", FLEET, re.DOTALL)
    exec(first, names)
    database = client.configurations.find("billing", "database")
    client.configurations.update(database, config={"pool_size": "many"})
    exec(promote, names)
    assert "1 rejects it: database /pool_size must be an integer" in capsys.readouterr().out
    exec(listed, names)
    assert "<Rejection: database /pool_size must be" in capsys.readouterr().out
    client.configurations.update(database.id, config={"pool_size": 20})
    client.releases.promote("billing", "staging", "prod")
    (instance,) = client.instances("billing", "prod")
    names["incident_at"] = instance.last_seen_at
    exec(replayed.replace('service="checkout"', 'service="fake"'), names)
    names["test_the_incident"]()
    exec(tested, names)
    with FakeConfigClient() as empty:
        names["test_a_word_is_refused"](empty)
