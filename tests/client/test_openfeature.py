"""Flags of a view through the SDK of OpenFeature."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from openfeature import api
from openfeature.client import OpenFeatureClient
from openfeature.event import EventDetails, ProviderEvent
from openfeature.exception import ErrorCode, GeneralError, ProviderNotReadyError
from openfeature.flag_evaluation import Reason
from openfeature.provider import ProviderStatus

from configsvc_client import TransportError
from configsvc_client.openfeature_provider import ConfigSvcProvider
from configsvc_client.testing import FakeConfigClient
from tests.client.conftest import MakeClient
from tests.client.stub import StubServer, drop, eventually, serve

FLAGS = {
    "enabled": True,
    "title": "Checkout",
    "limit": 3,
    "ratio": 0.5,
    "rules": {"eu": [1, 2]},
    "nothing": None,
    "a.b": True,
}


@pytest.fixture(autouse=True)
def _no_provider() -> Iterator[None]:
    yield
    api.clear_providers()


@pytest.fixture
def client() -> Iterator[FakeConfigClient]:
    with FakeConfigClient({"shop": {"checkout": FLAGS}, "billing": {}}) as client:
        yield client


@pytest.fixture
def flags(client: FakeConfigClient) -> OpenFeatureClient:
    api.set_provider_and_wait(ConfigSvcProvider(client.application("shop")))
    return api.get_client()


@pytest.fixture
def heard(flags: OpenFeatureClient) -> Callable[[ProviderEvent], list[EventDetails]]:
    """Returns the events of a kind since the provider is there."""
    found: dict[ProviderEvent, list[EventDetails]] = {event: [] for event in ProviderEvent}
    for event, details in found.items():
        flags.add_handler(event, details.append)
    eventually(lambda: found[ProviderEvent.PROVIDER_READY])
    found[ProviderEvent.PROVIDER_READY].clear()
    return lambda event: found[event]


def test_each_type_is_resolved(flags: OpenFeatureClient) -> None:
    assert flags.get_boolean_value("checkout.enabled", False)
    assert flags.get_string_value("checkout.title", "") == "Checkout"
    assert flags.get_integer_value("checkout.limit", 0) == 3
    assert flags.get_float_value("checkout.ratio", 0.0) == 0.5
    assert flags.get_object_value("checkout.rules", {}) == {"eu": [1, 2]}
    assert flags.get_object_value("checkout.rules.eu", []) == [1, 2]
    assert flags.get_boolean_value("/checkout/a.b", False)


def test_an_integer_is_a_float_too(flags: OpenFeatureClient) -> None:
    value = flags.get_float_value("checkout.limit", 0.0)
    assert value == 3
    assert type(value) is float


def test_details_name_reason_and_version(
    client: FakeConfigClient, flags: OpenFeatureClient
) -> None:
    details = flags.get_integer_details("checkout.limit", 0)
    assert details.reason == Reason.STATIC
    assert details.error_code is None
    version = client.application("shop").snapshot().version
    assert details.flag_metadata == {"version": version, "revision": 1}


@pytest.mark.parametrize("key", ["checkout.other", "other", "checkout.limit.more", ""])
def test_a_flag_that_is_not_there_is_not_found(flags: OpenFeatureClient, key: str) -> None:
    details = flags.get_boolean_details(key, True)
    assert details.value is True
    assert details.error_code == ErrorCode.FLAG_NOT_FOUND
    assert details.reason == Reason.ERROR


@pytest.mark.parametrize(
    ("kind", "key", "default"),
    [
        ("boolean", "checkout.limit", False),
        ("integer", "checkout.enabled", 7),
        ("integer", "checkout.ratio", 7),
        ("float", "checkout.enabled", 7.5),
        ("string", "checkout.limit", "seven"),
        ("object", "checkout.title", {}),
        ("string", "checkout.nothing", "seven"),
    ],
)
def test_a_value_of_another_type_is_a_mismatch(
    flags: OpenFeatureClient, kind: str, key: str, default: Any
) -> None:
    details = getattr(flags, f"get_{kind}_details")(key, default)
    assert details.value == default
    assert details.error_code == ErrorCode.TYPE_MISMATCH
    assert "Checkout" not in details.error_message


def test_values_are_resolved_in_a_loop_too(flags: OpenFeatureClient) -> None:
    async def resolve() -> Any:
        return await flags.get_integer_value_async("checkout.limit", 0)

    assert asyncio.run(resolve()) == 3


def test_without_a_snapshot_the_provider_is_not_ready(client: FakeConfigClient) -> None:
    client.fail(TransportError("the server is away"))
    provider = ConfigSvcProvider(client.application("shop"))
    with pytest.raises(ProviderNotReadyError):
        api.set_provider_and_wait(provider)
    details = provider.resolve_boolean_details("checkout.enabled", False)
    assert details.error_code == ErrorCode.PROVIDER_NOT_READY
    assert "the server is away" in str(details.error_message)


def test_a_refusal_is_an_error_of_the_provider(client: FakeConfigClient) -> None:
    with pytest.raises(GeneralError):
        api.set_provider_and_wait(ConfigSvcProvider(client.application("unknown")))
    assert api.get_client().get_provider_status() == ProviderStatus.ERROR


def test_a_provider_is_ready_when_the_first_snapshot_comes_later(
    client: FakeConfigClient,
) -> None:
    client.fail(TransportError("the server is away"))
    with pytest.raises(ProviderNotReadyError):
        api.set_provider_and_wait(ConfigSvcProvider(client.application("shop")))
    client.fail(None)
    assert api.get_client().get_provider_status() == ProviderStatus.READY
    assert api.get_client().get_boolean_value("checkout.enabled", False)


def test_a_change_is_told_with_the_flags_that_changed(
    client: FakeConfigClient,
    heard: Callable[[ProviderEvent], list[EventDetails]],
) -> None:
    client.set("shop", "checkout", {**FLAGS, "limit": 4, "a.b": False, "new": 1})
    eventually(lambda: heard(ProviderEvent.PROVIDER_CONFIGURATION_CHANGED))
    (event,) = heard(ProviderEvent.PROVIDER_CONFIGURATION_CHANGED)
    assert event.flags_changed == ["/checkout/a.b", "checkout.limit", "checkout.new"]
    assert event.provider_name == "configsvc"


def test_an_outage_is_told_and_its_end(
    client: FakeConfigClient,
    flags: OpenFeatureClient,
    heard: Callable[[ProviderEvent], list[EventDetails]],
) -> None:
    client.fail(TransportError("the server is away"))
    eventually(lambda: heard(ProviderEvent.PROVIDER_STALE))
    assert heard(ProviderEvent.PROVIDER_STALE)[0].message == "the server is away"
    details = flags.get_integer_details("checkout.limit", 0)
    assert (details.value, details.reason) == (3, Reason.STALE)
    client.fail(None)
    eventually(lambda: heard(ProviderEvent.PROVIDER_READY))
    assert flags.get_integer_details("checkout.limit", 0).reason == Reason.STATIC
    assert len(heard(ProviderEvent.PROVIDER_STALE)) == 1


def test_another_view_is_not_heard(
    client: FakeConfigClient,
    heard: Callable[[ProviderEvent], list[EventDetails]],
    flags: OpenFeatureClient,
) -> None:
    client.application("unknown").on_change(print)
    assert client.application("unknown").status().stale
    assert flags.get_provider_status() == ProviderStatus.READY


def test_a_provider_that_is_shut_down_is_silent(client: FakeConfigClient) -> None:
    provider = ConfigSvcProvider(client.application("shop"))
    api.set_provider_and_wait(provider)
    provider.shutdown()
    client.fail(TransportError("the server is away"))
    assert api.get_client().get_provider_status() == ProviderStatus.READY
    assert client.application("shop").status().state == "stale"


def test_values_from_disk_are_cached_ones(
    stub: StubServer, make_client: MakeClient, tmp_path: Path
) -> None:
    make_client(stub.url, cache_dir=tmp_path).application("billing").wait_until_ready()
    eventually(lambda: list(tmp_path.glob("*.snapshot")))
    stub.answer(drop)
    provider = ConfigSvcProvider(make_client(stub.url, cache_dir=tmp_path).application("billing"))
    api.set_provider_and_wait(provider)
    details = api.get_client().get_integer_details("database.pool_size", 0)
    assert (details.value, details.reason) == (10, Reason.CACHED)
    assert api.get_client().get_provider_status() == ProviderStatus.STALE
    stub.answer(serve)
    eventually(lambda: api.get_client().get_provider_status() == ProviderStatus.READY)
