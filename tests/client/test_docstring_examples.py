"""Every example in the docstrings of the public API runs, and shows what it says."""

import ast
import asyncio
import doctest
import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest
from openfeature.evaluation_context import EvaluationContext
from pydantic_settings import BaseSettings

import configsvc_client
from configsvc_client import (
    aio,
    errors,
    openfeature_provider,
    options,
    prometheus,
    pydantic_source,
    pytest_plugin,
    testing,
)
from configsvc_client import client as client_module
from configsvc_client._aio import bound as async_bound
from configsvc_client._aio.threads import Inline
from configsvc_client._http.transport import HttpTransport
from configsvc_client.testing import FakeAsyncConfigClient, FakeConfigClient

if TYPE_CHECKING:
    from configsvc_client.options import Options

FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
SOURCE = Path(configsvc_client.__file__).parent
MODULES = (
    configsvc_client,
    aio,
    async_bound,
    client_module,
    errors,
    openfeature_provider,
    options,
    prometheus,
    pydantic_source,
    pytest_plugin,
    testing,
)


@dataclass(frozen=True)
class DatabaseSettings:
    host: str
    port: int = 5432
    pool_size: int = 5


class _Finder(doctest.DocTestFinder):
    """Finder that also takes methods which a function of another module has made."""

    def _from_module(self, _module: object, _thing: object) -> bool:
        return True


def collect() -> list[doctest.DocTest]:
    """Return the examples of the public names and modules, one test for each docstring."""
    finder, parser = _Finder(exclude_empty=True), doctest.DocTestParser()
    things = {
        f"{module.__name__}.{name}.{part.__name__}": part
        for module, name in _names()
        for part in _parts(getattr(module, name))
        if part.__module__.startswith("configsvc_client")
    }
    found = {test.name: test for name, thing in things.items() for test in finder.find(thing, name)}
    for module in MODULES:
        doc = parser.get_doctest(module.__doc__ or "", {}, module.__name__, module.__file__, 0)
        found[module.__name__] = doc
    # A class may be reached by several modules.
    unique = {(test.filename, test.lineno, test.docstring): test for test in found.values()}
    return [test for test in unique.values() if test.examples]


def _parts(thing: Any) -> tuple[Any, ...]:
    """Return a class with those that it is made of, or a function."""
    return inspect.getmro(thing) if inspect.isclass(thing) else (thing,)


def _names() -> Iterator[tuple[ModuleType, str]]:
    for module in MODULES:
        for name in module.__all__:
            thing = getattr(module, name)
            if inspect.isclass(thing) or inspect.isfunction(thing):
                yield module, name


def is_async(test: doctest.DocTest) -> bool:
    """Return whether the examples are of the async face."""
    return any(part in test.name for part in ("Async", "aio", "ChangeStream"))


TESTS = collect()


@pytest.fixture
def fake() -> FakeConfigClient:
    """Two applications, one with a history and three environments."""
    client = FakeConfigClient(
        {
            "billing": {
                "database": {
                    "host": "db1",
                    "port": 5432,
                    "pool_size": 5,
                    "replicas": [{"host": "db2"}],
                },
                "limits": {"per_minute": 60},
            },
            "shop": {},
        }
    )
    client.applications.update("billing", comments="Invoices and payments")
    client.environments.create("billing", name="staging")
    client.environments.create("billing", name="prod", protected=True)
    database = client.configurations.find("billing", "database")
    database = client.configurations.update(database, config={"pool_size": 8}, message="more load")
    client.application("billing").wait_until_ready()
    client.configurations.update(database, config={"pool_size": 10}, message="still more load")
    for version in (1, 2):
        client.releases.release(database, "prod", version=version)
    return client


@pytest.fixture
def namespace(fake: FakeConfigClient, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """The names that the examples refer to."""

    def transport(_options: "Options", *, retries: int) -> Any:
        return fake._transport

    # An example may create a client of its own, which must find the same applications.
    monkeypatch.setattr(client_module, HttpTransport.__name__, transport)
    public = {name: getattr(configsvc_client, name) for name in configsvc_client.__all__}
    names = {
        **public,
        "BaseSettings": BaseSettings,
        "ConfigCollector": prometheus.ConfigCollector,
        "ConfigSvcProvider": openfeature_provider.ConfigSvcProvider,
        "ConfigSvcSettingsSource": pydantic_source.ConfigSvcSettingsSource,
        "DatabaseSettings": DatabaseSettings,
        "EvaluationContext": EvaluationContext,
        "FakeConfigClient": FakeConfigClient,
        "app": fake.application("billing"),
        "client": fake,
        "database": fake.configurations.find("billing", "database"),
        "timedelta": timedelta,
        "limits": fake.configurations.find("billing", "limits"),
        "prod": fake.environments.get("billing", "prod"),
    }
    yield names
    names["client"].close()


@pytest.fixture
def async_namespace(fake: FakeConfigClient, namespace: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The same for examples that await something, run one after the other on one loop."""
    client = FakeAsyncConfigClient()
    client._fake = fake
    client._open(fake, Inline())
    with asyncio.Runner() as runner:

        def execute(source: str) -> None:
            code = compile(source, "<example>", "single", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)

            async def run() -> None:
                result = eval(code, names)
                if result is not None:
                    await result
                # As at a prompt, where the loop goes on between the lines.
                for _ in range(3):
                    await asyncio.sleep(0)

            runner.run(run())

        others = {"FakeAsyncConfigClient": FakeAsyncConfigClient, "asyncio": asyncio}
        names = {**namespace, **others, "app": client.application("billing"), "client": client}
        yield names | {"execute": execute}


SYNC = [test for test in TESTS if not is_async(test)]
ASYNC = [test for test in TESTS if is_async(test)]


@pytest.mark.parametrize("test", ASYNC, ids=[test.name for test in ASYNC])
def test_an_async_example_is_true(test: doctest.DocTest, async_namespace: dict[str, Any]) -> None:
    for example in test.examples:
        example.source = f"execute({example.source!r})\n"
    test_an_example_is_true(test, async_namespace)


@pytest.mark.parametrize("test", SYNC, ids=[test.name for test in SYNC])
def test_an_example_is_true(test: doctest.DocTest, namespace: dict[str, Any]) -> None:
    report: list[str] = []
    test.globs = namespace
    runner = doctest.DocTestRunner(optionflags=FLAGS, verbose=False)
    result = runner.run(test, out=report.append, clear_globs=False)
    assert not result.failed, "".join(report)


def test_no_example_is_left_out() -> None:
    written = sum(file.read_text().count(">>> ") for file in SOURCE.rglob("*.py"))
    assert sum(len(test.examples) for test in TESTS) == written
