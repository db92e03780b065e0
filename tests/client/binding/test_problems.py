"""Problems: what foreign code raises, told without the values."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import pydantic
import pydantic.dataclasses
import pydantic_core
import pytest

from configsvc_client._values.frozen import freeze
from configsvc_client._values.secrets import Secret, mark_secrets
from tests.client.binding.test_conversion import convert, problems

PASSWORD = "hunter2-and-more"


class OddError(Exception):
    pass


def refuse(error: Callable[[Any], BaseException]) -> type[Any]:
    @dataclass
    class Settings:
        password: str
        port: int = 0

        def __post_init__(self) -> None:
            raise error(self)

    return Settings


@pytest.mark.parametrize(
    "kind", [KeyError, TypeError, AttributeError, OddError, ZeroDivisionError, OSError, MemoryError]
)
def test_an_exception_of_a_validator_is_told_by_its_type_and_place(kind: type[Exception]) -> None:
    settings: Any = refuse(lambda self: kind(self.password))
    ((pointer, message),) = problems(dict[str, settings], {"main": {"password": PASSWORD}})
    assert pointer == "/main"
    assert message.startswith(f"is refused with {kind.__name__} at test_problems.py, line ")
    assert PASSWORD not in message


def test_an_exception_that_cannot_be_told_in_words_is_told_by_its_type() -> None:
    class WordlessError(ValueError):
        def __str__(self) -> str:
            raise AttributeError("detail")

    settings: Any = refuse(lambda _: WordlessError())
    ((pointer, message),) = problems(dict[str, settings], {"main": {"password": PASSWORD}})
    assert pointer == "/main"
    assert message.startswith("is refused with WordlessError at ")


def test_a_validator_without_end_is_a_problem() -> None:
    @dataclass
    class Settings:
        a: int

        def __post_init__(self) -> None:
            self.__post_init__()

    assert problems(dict[str, Settings], {"x": {"a": 1}}) == [("/x", "is nested too deeply")]


@pytest.mark.parametrize("kind", [ValueError, AssertionError])
@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("low is above high", "low is above high"),
        ("password {0.password!r} is too short", "password '…' is too short"),
        ("password {0.password} is too short", "password … is too short"),
        ("dsn=postgres://{0.password}@db", "dsn=postgres://…@db"),
        ("port {0.port} is taken", "port … is taken"),
        ("port 99 is not between 1 and 65535", "port 99 is not between 1 and 65535"),
    ],
)
def test_the_words_of_a_validator_are_kept_without_the_values(
    kind: type[Exception], text: str, shown: str
) -> None:
    settings = refuse(lambda self: kind(text.format(self)))
    value = {"password": PASSWORD, "port": 70000}
    assert problems(settings, value) == [("", f"is refused: {shown}")]


@pytest.mark.parametrize("password", ["abc", "ab", "it's\n", "…", "(a+)+$"])
def test_short_and_odd_values_that_are_quoted_are_hidden(password: str) -> None:
    settings = refuse(lambda self: ValueError(f"bad {self.password!r}: {int}"))
    ((_, message),) = problems(settings, {"password": password})
    assert message == f"is refused: bad {repr(password)[0]}…{repr(password)[0]}: {int}"


def test_a_conversion_of_the_standard_library_does_not_quote_the_value() -> None:
    settings = refuse(lambda self: ValueError(int(self.password)))
    ((_, message),) = problems(settings, {"password": PASSWORD})
    assert message == "is refused: invalid literal for int() with base 10: '…'"


def test_a_secret_is_hidden_in_the_words_of_a_validator() -> None:
    settings = refuse(lambda self: ValueError(f"bad password {self.password}"))
    config = mark_secrets(freeze({"password": PASSWORD}), ["/password"])
    assert problems(settings, config) == [("", "is refused: bad password …")]


def test_a_secret_stays_one_in_what_is_made() -> None:
    @dataclass
    class Settings:
        password: str
        token: Secret

    config = mark_secrets(freeze({"password": PASSWORD, "token": "t"}), ["/password"])
    made = convert(Settings, config)
    assert made.password == PASSWORD
    assert repr(made).endswith("Settings(password='**********', token='**********')")


class Model(pydantic.BaseModel):
    port: int = 0
    password: pydantic.SecretStr = pydantic.SecretStr("")
    kind: Literal["a", "b"] = "a"
    name: str = ""

    @pydantic.field_validator("name")
    @classmethod
    def _check(cls, name: str) -> str:
        if name == "raise":
            raise KeyError(name)
        if name == "custom":
            raise pydantic_core.PydanticCustomError("odd", "no {name}", {"name": name})
        if name == "odd custom":
            raise pydantic_core.PydanticCustomError("odd", "{oops}", {"oops": name})
        if name:
            raise ValueError(f"{name} is taken")
        return name


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"port": None}, [("/port", "Input should be a valid integer")]),
        ({"kind": PASSWORD, "name": ""}, [("/kind", "Input should be 'a' or 'b'")]),
        ({"name": PASSWORD}, [("/name", "Value error, … is taken")]),
        ({"name": "custom"}, [("/name", "no …")]),
        ({"name": "odd custom"}, [("/name", "…")]),
    ],
)
def test_messages_of_pydantic_have_no_values(value: Any, expected: list[tuple[str, str]]) -> None:
    assert problems(Model, value) == expected


def test_other_exceptions_out_of_a_model_are_told_by_their_type() -> None:
    ((pointer, message),) = problems(dict[str, Model], {"a": {"name": "raise"}})
    assert (pointer, message[:25]) == ("/a", "is refused with KeyError ")


def test_a_union_tag_of_pydantic_is_not_quoted() -> None:
    class Cat(pydantic.BaseModel):
        kind: Literal["cat"]

    class Dog(pydantic.BaseModel):
        kind: Literal["dog"]

    class Pet(pydantic.BaseModel):
        pet: Cat | Dog = pydantic.Field(discriminator="kind")

    ((pointer, message),) = problems(Pet, {"pet": {"kind": PASSWORD}})
    assert pointer == "/pet"
    assert PASSWORD not in message


def test_a_secret_of_a_model_is_its_text() -> None:
    config = mark_secrets(freeze({"password": PASSWORD}), ["/password"])
    assert convert(Model, config).password.get_secret_value() == PASSWORD


def test_what_cannot_be_hashed_is_a_problem_of_its_set() -> None:
    ((pointer, message),) = problems(dict[str, set[dict[str, int]]], {"a": [{"b": 1}]})
    assert (pointer, message[:26]) == ("/a", "is refused with TypeError ")


def test_a_number_that_no_float_holds_is_a_problem() -> None:
    assert problems(list[float], [10**400]) == [("/0", "must be a number below 1.8e308")]
