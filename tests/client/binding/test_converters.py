"""Converters of other libraries: attrs, msgspec, cattrs, and pydantic's TypeAdapter."""

from typing import Any

import attrs
import cattrs
import msgspec
import pydantic
import pytest

from configsvc_client import BindError, Bound
from configsvc_client.testing import FakeConfigClient


@pytest.fixture
def client() -> FakeConfigClient:
    return FakeConfigClient({"billing": {"database": {"host": "db1", "pool": {"size": 10}}}})


@attrs.frozen
class Pool:
    size: int = attrs.field(validator=attrs.validators.gt(0))


@attrs.frozen
class Database:
    host: str
    pool: Pool


class PoolStruct(msgspec.Struct):
    size: int


class DatabaseStruct(msgspec.Struct):
    host: str
    pool: PoolStruct


def with_attrs(value: Any) -> Database:
    return Database(value.pop("host"), Pool(**value["pool"]))


def with_cattrs(value: Any) -> Database:
    return cattrs.structure(value, Database)


def with_msgspec(value: Any) -> DatabaseStruct:
    return msgspec.convert(value, DatabaseStruct)


with_pydantic = pydantic.TypeAdapter(dict[str, str | dict[str, int]]).validate_python

CONVERTERS = [
    (with_attrs, ""),
    (with_cattrs, "/pool/size"),
    (with_msgspec, "/pool/size"),
    (with_pydantic, "/pool/size"),
]


def bind(client: FakeConfigClient, converter: Any) -> Bound[Any]:
    return client.application("billing").bind("database", converter=converter)


@pytest.mark.parametrize("converter", [converter for converter, _ in CONVERTERS])
def test_what_a_converter_makes_follows_the_configuration(
    client: FakeConfigClient, converter: Any
) -> None:
    bound = bind(client, converter)
    assert bound.value == converter({"host": "db1", "pool": {"size": 10}})
    client.set("billing", "database", {"host": "db2", "pool": {"size": 20}})
    assert bound.value == converter({"host": "db2", "pool": {"size": 20}})
    assert bind(client, converter) is bound


@pytest.mark.parametrize(("converter", "pointer"), CONVERTERS)
def test_what_a_converter_refuses_is_rejected_without_the_values(
    client: FakeConfigClient, converter: Any, pointer: str
) -> None:
    bound, before = bind(client, converter), bind(client, converter).value
    client.set("billing", "database", {"host": "db2", "pool": {"size": "hunter2"}})
    assert bound.value is before
    assert bound.error is not None
    assert pointer in {problem.pointer for problem in bound.error.errors}
    assert "hunter2" not in str(bound.error) + repr(bound.error.errors)
    with pytest.raises(BindError):
        client.application("billing").bind("database.host", converter=converter)


def test_a_converter_gets_a_plain_value_of_its_own(client: FakeConfigClient) -> None:
    given: list[Any] = []
    bound = bind(client, given.append)
    assert (type(given[0]), type(given[0]["pool"])) == (dict, dict)
    given[0]["pool"]["size"] = 0
    assert client.application("billing")["database"]["pool"]["size"] == 10
    assert bound.value is None


def test_a_type_without_converter_points_to_it(client: FakeConfigClient) -> None:
    with pytest.raises(TypeError, match=r"Database.*converter="):
        client.application("billing").bind("database", Database)


def test_either_a_type_or_a_converter_is_given(client: FakeConfigClient) -> None:
    app: Any = client.application("billing")
    for arguments in ({}, {"model": dict, "converter": dict}, {"converter": dict, "strict": True}):
        with pytest.raises(TypeError, match=r"[Cc]onverter"):
            app.bind("database", **arguments)
    with pytest.raises(TypeError, match="is a string"):
        app.bind("database", "Database")
