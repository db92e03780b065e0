"""The package as a whole: what it exports and what it imports."""

import inspect
import subprocess
import sys
from importlib.metadata import requires

import pytest

import configsvc_client


@pytest.mark.parametrize("name", sorted(configsvc_client.__all__))
def test_a_public_name_is_there_and_documented(name: str) -> None:
    thing = getattr(configsvc_client, name)
    if inspect.isclass(thing) and name != "Keep":
        assert thing.__doc__
        assert ">>>" in thing.__doc__


@pytest.mark.parametrize(
    "kind",
    [
        configsvc_client.ConfigClient,
        configsvc_client.ConfigView,
        configsvc_client.Applications,
        configsvc_client.Configurations,
        configsvc_client.Environments,
        configsvc_client.Releases,
        configsvc_client.Changes,
        configsvc_client.Tokens,
        configsvc_client.Grants,
        configsvc_client.ChangeFeed,
        configsvc_client.ChangeLog,
        configsvc_client.Snapshot,
        configsvc_client.Bound,
        configsvc_client.Instances,
        configsvc_client.ConvergenceWait,
        configsvc_client.PastInstance,
        configsvc_client.AsyncInstances,
        configsvc_client.AsyncConfigClient,
        configsvc_client.AsyncConfigView,
        configsvc_client.AsyncApplications,
        configsvc_client.AsyncConfigurations,
        configsvc_client.AsyncEnvironments,
        configsvc_client.AsyncReleases,
        configsvc_client.AsyncChanges,
        configsvc_client.AsyncTokens,
        configsvc_client.AsyncGrants,
        configsvc_client.AsyncChangeFeed,
        configsvc_client.AsyncChangeLog,
        configsvc_client.AsyncPages,
        configsvc_client.AsyncSubscription,
        configsvc_client.ChangeStream,
    ],
)
def test_a_public_method_has_an_example(kind: type) -> None:
    parts = [part for part in kind.__mro__ if part.__module__.startswith("configsvc_client")]
    for name, member in (item for part in parts for item in vars(part).items()):
        function = member.fget if isinstance(member, property) else member
        if name.startswith("_") or not inspect.isfunction(function):
            continue
        doc = inspect.getdoc(function) or ""
        assert doc
        if name not in {"keys", "values", "items", "application", "environment"} or kind in {
            configsvc_client.ConfigClient,
            configsvc_client.AsyncConfigClient,
        }:
            assert ">>>" in doc or name == "path", f"{kind.__name__}.{name}"


def test_the_version_is_that_of_the_distribution() -> None:
    assert configsvc_client.__version__[0].isdigit()
    with pytest.raises(AttributeError, match="nothing"):
        configsvc_client.nothing  # noqa: B018


def test_what_is_needed_is_declared() -> None:
    needed = [line for line in requires("configsvc-client") or () if "extra" not in line]
    assert needed == ["requests>=2.32.2", "urllib3<3,>=2"]


def test_everything_can_be_completed() -> None:
    assert set(dir(configsvc_client)) >= {"Environment", "ConfigClient"}


@pytest.mark.parametrize(
    "module",
    [
        "pydantic",
        "pydantic_settings",
        "pytest",
        "openfeature",
        "opentelemetry",
        "prometheus_client",
        "sentry_sdk",
        "asyncio",
        "tomllib",
        "yaml",
        "configsvc_client._local",
        "configsvc_client._view.disk_cache",
        "configsvc_client._view.reporter",
        "dataclasses",
        "configsvc_client._resources.changes",
        "configsvc_client._resources.configurations",
        "configsvc_client._resources.models",
    ],
)
def test_importing_it_imports_nothing_that_is_not_needed(module: str) -> None:
    # What measures the coverage of the tests is in the process before.
    code = (
        "import sys; before = set(sys.modules); import configsvc_client;"
        f" sys.exit({module!r} in set(sys.modules) - before)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
