"""Reasons to reject a snapshot have no values of it in them, whatever refuses it."""

from collections.abc import Callable
from dataclasses import dataclass, make_dataclass
from decimal import Decimal
from enum import Enum
from functools import cache
from ipaddress import IPv4Address
from typing import Annotated, Any, Literal
from uuid import UUID

import cattrs
import msgspec
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from configsvc_client._binding.conversion import converter
from configsvc_client._view.rejections import Reason
from configsvc_client.testing import FakeConfigClient

MARKER = "s3cr3t"


class Level(Enum):
    LOW = "low"


@dataclass
class Nested:
    level: Level
    size: Annotated[int, msgspec.Meta(ge=1)]


@dataclass
class Settings:
    host: IPv4Address
    port: int
    key: UUID
    rate: Decimal
    mode: Literal["a", "b"]
    nested: list[Nested]
    by_name: dict[str, int]

    def __post_init__(self) -> None:
        raise ValueError(f"{self.__dict__!r} {str(self.host)[:3]}")


class Model(pydantic.BaseModel):
    host: IPv4Address
    port: int
    key: UUID
    mode: Literal["a", "b"]
    by_name: dict[str, int]

    @pydantic.field_validator("*", mode="before")
    @classmethod
    def check(cls, value: Any) -> Any:
        if MARKER in str(value):
            raise ValueError(f"{str(value)[1:]} is wrong, {str(value).upper()}")
        return value


class Struct(msgspec.Struct):
    host: str
    port: int
    mode: Literal["a", "b"]

    def __post_init__(self) -> None:
        raise ValueError(f"{self.host[1:]} - at `$.{self.host}`")


def quoting(value: Any) -> Any:
    raise ValueError(f"no {str(value)[2:]} and {value!r}")


def looking_up(value: Any) -> Any:
    known: dict[str, Any] = {}
    return known[str(value)]


def asserting(value: Any) -> Any:
    assert not str(value), str(value)[1:]


def model(kind: Any, *, strict: bool = False) -> Callable[[Any], Any]:
    convert = converter(kind, strict=strict)
    return lambda value: convert(value, ())


CONVERTERS: dict[str, Callable[[Any], Any]] = {
    "dataclass": model(Settings),
    "strict dataclass": model(Settings, strict=True),
    "pydantic": model(Model),
    "msgspec": lambda value: msgspec.convert(value, Struct),
    "cattrs": lambda value: cattrs.structure(value, Nested),
    "quoting": quoting,
    "looking up": looking_up,
    "asserting": asserting,
}

names = st.sampled_from(
    ["host", "port", "key", "rate", "mode", "nested", "by_name", "level", "size"]
)
marked = st.builds(
    lambda before, after: before + MARKER + after, st.text(max_size=3), st.text(max_size=3)
)
values = st.recursive(
    marked | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=4),
    max_leaves=8,
)


class Follower:
    """View with one bound object, which takes the first document and then what its type takes."""

    def __init__(self, convert: Callable[[Any], Any]) -> None:
        self._client = FakeConfigClient({"billing": {"database": {}}})
        self._app = self._client.application("billing")
        self._app.bind("database", converter=lambda value: value and convert(value))

    def reasons(self, config: Any) -> tuple[Reason, ...]:
        self._client.set("billing", "database", {"": None, **config})
        return self._app._runtime.sync.reasons()


follower = cache(lambda name: Follower(CONVERTERS[name]))


@pytest.mark.parametrize("name", CONVERTERS)
@given(config=st.dictionaries(names, values, max_size=7))
def test_no_value_is_in_a_reason(name: str, config: dict[str, Any]) -> None:
    found = follower(name).reasons(config)
    assert found
    assert not [reason for reason in found if MARKER in repr(reason)]


def test_a_reason_is_useful() -> None:
    (reason,) = follower("msgspec").reasons({"host": "a", "port": "80", "mode": "a"})
    assert reason == ("database", "/port", "is refused with ValidationError")
    found = follower("strict dataclass").reasons({"port": "80"})
    assert Reason("database", "/port", "must be an integer, not a string") in found
    assert Reason("database", "/host", "is missing") in found


def test_there_are_twenty_at_most_and_none_is_long() -> None:
    types = {f"n{index}": int for index in range(30)}
    kind = make_dataclass("Wide", [*types.items(), ("mode", Literal["x" * 500])])
    client = FakeConfigClient({"billing": {"database": {}}})
    app = client.application("billing")
    app.bind("database", converter=lambda value: value and model(kind)(value))
    client.set("billing", "database", {"mode": "y"})
    found = app._runtime.sync.reasons()
    assert len(found) == 20
    client.set("billing", "database", {"mode": "y", **dict.fromkeys(types, 1)})
    (long,) = app._runtime.sync.reasons()
    assert len(long.message) == 300
