"""From JSON to types."""

import dataclasses
import enum
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Final, Literal, NewType, NotRequired, Optional, TypedDict
from uuid import UUID

import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from configsvc_client._binding.conversion import converter
from configsvc_client._binding.problems import ConversionError
from configsvc_client._values.frozen import freeze


class Level(enum.Enum):
    LOW = "low"
    HIGH = 2


class Flag(enum.IntEnum):
    ONE = 1


Size = NewType("Size", int)


@dataclass(frozen=True, slots=True)
class Host:
    name: str
    port: int = 5432


@dataclass
class Database:
    hosts: list[Host]
    pool_size: int
    timeout: float = 1.0
    labels: dict[str, str] = field(default_factory=dict)
    derived: int = field(default=0, init=False)


@dataclass
class Tree:
    name: str
    children: list["Tree"] = field(default_factory=list)


@dataclass
class Checked:
    low: int
    high: int

    def __post_init__(self) -> None:
        if self.low > self.high:
            raise ValueError("low is above high")


class Limits(TypedDict):
    per_minute: int
    burst: NotRequired[int]


class Model(pydantic.BaseModel):
    pool_size: int = pydantic.Field(gt=0)
    hosts: list[str] = []


def convert(model: Any, value: Any) -> Any:
    return converter(model)(freeze(value), ())


def problems(model: Any, value: Any) -> list[tuple[str, str]]:
    with pytest.raises(ConversionError) as caught:
        convert(model, value)
    return [(problem.pointer, problem.message) for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("model", "value", "made"),
    [
        (str, "a", "a"),
        (int, 1, 1),
        (bool, True, True),
        (float, 1, 1.0),
        (None, None, None),
        (Any, {"a": [1]}, {"a": [1]}),
        (object, [1], [1]),
        (int | None, None, None),
        (Optional[int], 1, 1),  # noqa: UP045 - the old form
        (int | str, "a", "a"),
        (list[int], [1, 2], [1, 2]),
        (list, [1, "a"], [1, "a"]),
        (tuple[int, ...], [1, 2], (1, 2)),
        (tuple[int, str], [1, "a"], (1, "a")),
        (tuple, [1], (1,)),
        (set[str], ["a", "a"], {"a"}),
        (frozenset[int], [1], frozenset({1})),
        (Sequence[int], [1], (1,)),
        (Iterable[int], [1], (1,)),
        (dict[str, int], {"a": 1}, {"a": 1}),
        (dict, {"a": 1}, {"a": 1}),
        (Mapping[Literal["a"], float], {"a": 1}, {"a": 1.0}),
        (Literal["a", 1], 1, 1),
        (Level, "low", Level.LOW),
        (Level, 2, Level.HIGH),
        (Annotated[int, "of something"], 1, 1),
        (Final[int], 1, 1),
        (Size, 1, 1),
        (datetime, "2026-11-24T08:00:00Z", datetime(2026, 11, 24, 8, tzinfo=UTC)),
        (date, "2026-11-24", date(2026, 11, 24)),
        (time, "08:30", time(8, 30)),
        (Decimal, "0.10", Decimal("0.10")),
        (UUID, "00000000-0000-0000-0000-000000000001", UUID(int=1)),
        (Path, "/tmp", Path("/tmp")),
        (Host, {"name": "a", "unknown": 1}, Host("a")),
        (Tree, {"name": "a", "children": [{"name": "b"}]}, Tree("a", [Tree("b")])),
        (Limits, {"per_minute": 1, "unknown": 2}, {"per_minute": 1}),
        (Model, {"pool_size": 1, "hosts": ["a"]}, Model(pool_size=1, hosts=["a"])),
    ],
    ids=repr,
)
def test_what_fits_is_converted(model: Any, value: Any, made: Any) -> None:
    result = convert(model, value)
    assert result == made
    assert type(result) is type(made) or model in (Any, object)


def test_nested_dataclasses_are_made() -> None:
    value = {"hosts": [{"name": "a"}, {"name": "b", "port": 1}], "pool_size": 5, "derived": 9}
    assert convert(Database, value) == Database([Host("a"), Host("b", 1)], 5)


@pytest.mark.parametrize(
    ("model", "value", "expected"),
    [
        (str, 1, "must be a string, not an integer"),
        (int, "1", "must be an integer, not a string"),
        (int, True, "must be an integer, not a boolean"),
        (int, 1.5, "must be an integer, not a number"),
        (int, None, "must be an integer, not null"),
        (float, "1", "must be a number, not a string"),
        (float, False, "must be a number, not a boolean"),
        (bool, 1, "must be true or false, not an integer"),
        (None, 1, "must be null, not an integer"),
        (list[int], {"a": 1}, "must be an array, not an object"),
        (dict[str, int], [1], "must be an object, not an array"),
        (tuple[int, int], [1], "must have 2 items, not 1"),
        (Literal["a", "b"], "c", "must be one of 'a', 'b'"),
        (Literal[1], True, "must be one of 1, not a boolean"),
        (Flag, True, "must be one of 1, not a boolean"),
        (Level, "middle", "must be one of 'low', 2"),
        (datetime, "soon", "must be a date and time as RFC 3339 has it"),
        (Decimal, "x", "must be a string with a decimal number"),
        (Decimal, 1, "must be a string with a decimal number, not an integer"),
        (Host, "a", "must be an object, not a string"),
        (Checked, {"low": 2, "high": 1}, "is refused: low is above high"),
    ],
    ids=repr,
)
def test_what_does_not_fit_is_explained(model: Any, value: Any, expected: str) -> None:
    assert problems(model, value) == [("", expected)]


def test_all_problems_are_reported_with_their_pointers() -> None:
    value = {"hosts": [{"port": "x"}, {"name": "b"}, 3], "labels": {"a/b": 1}}
    assert problems(Database, value) == [
        ("/hosts/0/name", "is missing"),
        ("/hosts/0/port", "must be an integer, not a string"),
        ("/hosts/2", "must be an object, not an integer"),
        ("/pool_size", "is missing"),
        ("/labels/a~1b", "must be a string, not an integer"),
    ]


def test_a_typeddict_misses_only_what_it_requires() -> None:
    assert problems(Limits, {"burst": 1}) == [("/per_minute", "is missing")]


def test_a_union_reports_the_alternative_that_came_furthest() -> None:
    assert problems(int | Host, {"name": 1}) == [("/name", "must be a string, not an integer")]


def test_a_problem_of_pydantic_has_its_pointer() -> None:
    assert problems(Model, {"pool_size": 0}) == [("/pool_size", "Input should be greater than 0")]


def test_a_pydantic_model_within_a_dataclass_is_made() -> None:
    @dataclass
    class Outer:
        inner: Model

    Outer.__annotations__["inner"] = Model
    assert convert(Outer, {"inner": {"pool_size": 1}}).inner == Model(pool_size=1)


def test_made_lists_can_be_changed() -> None:
    made = convert(Database, {"hosts": [], "pool_size": 1, "labels": {}})
    made.hosts.append(Host("a"))
    made.labels["a"] = "b"


def test_an_annotation_that_cannot_work_is_refused_before_any_document() -> None:
    @dataclass
    class Odd:
        stream: complex

    with pytest.raises(TypeError, match=r"Odd.*complex"):
        converter(Odd)


@given(st.builds(Database, st.lists(st.builds(Host)), st.integers(), st.floats(allow_nan=False)))
def test_what_was_written_from_a_dataclass_can_be_read_into_it(database: Database) -> None:
    assert convert(Database, dataclasses.asdict(database)) == database
