"""Types that JSON values are converted to, beyond the everyday ones."""

import enum
import sys
from collections.abc import Mapping
from dataclasses import KW_ONLY, InitVar, dataclass, field
from datetime import timedelta
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Interface,
    IPv6Network,
    ip_address,
    ip_interface,
    ip_network,
)
from typing import (
    Annotated,
    Any,
    ClassVar,
    Generic,
    Literal,
    NamedTuple,
    NotRequired,
    TypedDict,
    TypeVar,
)

import annotated_types
import msgspec
import pydantic
import pydantic.dataclasses
import pytest
from typing_extensions import TypeAliasType

from tests.client.binding.test_conversion import Host, convert, problems

T = TypeVar("T")
U = TypeVar("U")
Number = TypeVar("Number", bound=int)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (90, 90),
        (1.5, 1.5),
        (-3, -3),
        ("PT1H30M", 5400),
        ("P1DT0.5S", 86400.5),
        ("P2W", 14 * 86400),
        ("-P1D", -86400),
        ("PT1,5S", 1.5),
        ("01:30:00", 5400),
        ("-00:00:01.5", -1.5),
        ("3d 00:00:01", 3 * 86400 + 1),
        ("1 day, 00:00:01", 86401),
    ],
)
def test_a_duration_is_what_pydantic_makes_of_it(value: Any, seconds: float) -> None:
    assert convert(timedelta, value) == timedelta(seconds=seconds)
    assert pydantic.TypeAdapter(timedelta).validate_python(value) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "value", ["P1Y", "P1M", "P", "PT", "soon", "1h", "", 1e300, True, None, [1]]
)
def test_what_is_no_duration_is_explained(value: Any) -> None:
    ((pointer, message),) = problems(timedelta, value)
    assert pointer == ""
    assert message.startswith("must be a number of seconds, or a duration such as PT1H30M")


class Address(NamedTuple):
    host: str
    port: int = 80


class Pair(NamedTuple, Generic[T, U]):
    left: T
    right: U


@pytest.mark.parametrize(
    ("model", "value", "made"),
    [
        (Address, {"host": "a", "port": 1}, Address("a", 1)),
        (Address, {"host": "a"}, Address("a")),
        (Address, ["a", 1], Address("a", 1)),
        (Address, ["a"], Address("a")),
        (Pair[int, Host], {"left": 1, "right": {"name": "a"}}, Pair(1, Host("a"))),
    ],
)
def test_a_namedtuple_is_made_of_an_object_or_an_array(model: Any, value: Any, made: Any) -> None:
    result = convert(model, value)
    assert (result, type(result)) == (made, type(made))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"port": "x"}, [("/host", "is missing"), ("/port", "must be an integer, not a string")]),
        ([1], [("/host", "must be a string, not an integer")]),
        (["a", 1, 2], [("", "must be an object, not an array")]),
        ("a", [("", "must be an object, not a string")]),
    ],
)
def test_what_is_no_namedtuple_is_explained(value: Any, expected: list[tuple[str, str]]) -> None:
    assert problems(Address, value) == expected


@pytest.mark.parametrize(
    ("model", "text", "made"),
    [
        (IPv4Address, "10.0.0.1", ip_address("10.0.0.1")),
        (IPv6Address, "::1", ip_address("::1")),
        (IPv4Network, "10.0.0.0/8", ip_network("10.0.0.0/8")),
        (IPv6Network, "fe80::/10", ip_network("fe80::/10")),
        (IPv4Interface, "10.0.0.1/8", ip_interface("10.0.0.1/8")),
        (IPv6Interface, "fe80::1/10", ip_interface("fe80::1/10")),
        (IPv4Address | IPv6Address, "::1", ip_address("::1")),
    ],
)
def test_addresses_are_made_of_strings(model: Any, text: str, made: Any) -> None:
    assert convert(model, text) == made


@pytest.mark.parametrize(
    ("model", "value", "expected"),
    [
        (IPv4Address, "::1", "must be an IPv4 address"),
        (IPv4Address, 1, "must be an IPv4 address, not an integer"),
        (IPv4Network, "10.0.0.1/8", "must be an IPv4 network, without host bits"),
        (IPv6Interface, "x", "must be an IPv6 address with its network"),
    ],
)
def test_what_is_no_address_is_explained(model: Any, value: Any, expected: str) -> None:
    assert problems(model, value) == [("", expected)]


@dataclass
class Page(Generic[T]):
    items: list[T]
    next: "Page[T] | None" = None


@dataclass
class IntPage(Page[int]):
    total: int = 0


@dataclass
class Listing(Page[dict[str, T]], Generic[T, U]):
    extra: U | None = None


class Box(TypedDict, Generic[T]):
    content: T
    labels: NotRequired[list[T]]


class IntBox(Box[int]):
    size: int


class Model(pydantic.BaseModel, Generic[T]):
    item: T


@dataclass
class Bounded(Generic[Number]):
    number: Number


@pytest.mark.parametrize(
    ("model", "value", "made"),
    [
        (Page[int], {"items": [1], "next": {"items": [2]}}, Page([1], Page([2]))),
        (Page[Host], {"items": [{"name": "a"}]}, Page([Host("a")])),
        (Page, {"items": [1, "a"]}, Page([1, "a"])),
        (IntPage, {"items": [1], "total": 3}, IntPage([1], None, 3)),
        (Listing[int, str], {"items": [{"a": 1}], "extra": "b"}, Listing([{"a": 1}], None, "b")),
        (Page[Page[int]], {"items": [{"items": [1]}]}, Page([Page([1])])),
        (Box[int], {"content": 1, "labels": [2]}, {"content": 1, "labels": [2]}),
        (Model[int], {"item": 1}, Model[int](item=1)),
    ],
)
def test_type_parameters_are_what_they_stand_for(model: Any, value: Any, made: Any) -> None:
    assert convert(model, value) == made


@pytest.mark.parametrize(
    ("model", "value", "pointer"),
    [
        (Page[int], {"items": ["x"]}, "/items/0"),
        (Page[int], {"items": [], "next": {"items": ["x"]}}, "/next/items/0"),
        (IntPage, {"items": ["x"]}, "/items/0"),
        (Listing[int, str], {"items": [{"a": "x"}]}, "/items/0/a"),
        (Listing[int, str], {"items": [], "extra": 1}, "/extra"),
        (Box[int], {"content": "x"}, "/content"),
        (Box[int], {"content": 1, "labels": ["x"]}, "/labels/0"),
        (IntBox, {"content": "x", "size": 1}, "/content"),
        (Bounded, {"number": "x"}, "/number"),
        (Model[int], {"item": "x"}, "/item"),
    ],
)
def test_type_parameters_are_checked(model: Any, value: Any, pointer: str) -> None:
    assert [at for at, _ in problems(model, value)] == [pointer]


def test_a_type_that_grows_without_end_is_refused() -> None:
    @dataclass
    class Growing(Generic[T]):
        inner: "Growing[list[T]] | None" = None

    with pytest.raises(TypeError, match="without end"):
        convert(Growing[int], {})


Json = TypeAliasType("Json", "dict[str, Json] | list[Json] | str | int")
Items = TypeAliasType("Items", list[T], type_params=(T,))


@dataclass
class Aliased:
    json: Json
    numbers: Items[int]


def test_type_aliases_are_what_they_stand_for() -> None:
    value = {"json": {"a": [1, {"b": "c"}]}, "numbers": [1]}
    assert convert(Aliased, value) == Aliased(value["json"], [1])  # type: ignore[arg-type]
    assert convert(Items[int], [1]) == [1]
    assert problems(Aliased, {"json": {"a": [None]}, "numbers": ["x"]}) == [
        ("/json/a/0", "must be an object, not null"),
        ("/numbers/0", "must be an integer, not a string"),
    ]


@pytest.mark.skipif(sys.version_info < (3, 12), reason="the syntax is newer")
def test_type_statements_and_parameters_of_classes_are_understood() -> None:
    names: dict[str, Any] = {"__name__": __name__, "dataclass": dataclass}
    exec(
        "type Port = int\n"
        "type Many[X] = list[X] | X\n"
        "type Tree = dict[str, Tree] | int\n"
        "@dataclass\n"
        "class Server[Item]:\n"
        "    port: Port\n"
        "    hosts: Many[Item]\n"
        "    tree: Tree\n"
        "    again: 'Server[Item] | None' = None\n",
        names,
    )
    server = names["Server"]
    value = {"port": 1, "hosts": ["a"], "tree": {"a": {"b": 1}}}
    assert convert(server[str], value) == server(1, ["a"], {"a": {"b": 1}})
    wrong = {**value, "port": "x", "again": {**value, "hosts": [1]}}
    assert [at for at, _ in problems(server[str], wrong)] == ["/port", "/again/hosts/0"]


PlainAlias = dict[str, "Host"]


@dataclass
class WithPlainAlias:
    hosts: PlainAlias


def test_plain_aliases_are_understood() -> None:
    assert convert(WithPlainAlias, {"hosts": {"a": {"name": "b"}}}).hosts == {"a": Host("b")}


@dataclass
class Everything:
    name: str
    _: KW_ONLY
    raw: InitVar[int]
    scale: InitVar["int | None"] = 2
    size: int = field(init=False)
    later: int = field(default=3, init=False)
    shared: ClassVar[dict[str, int]] = {}

    def __post_init__(self, raw: int, scale: int | None) -> None:
        self.size = raw * (scale or 1)


def test_what_dataclasses_pass_to_post_init_is_given_and_the_rest_is_not() -> None:
    made = convert(Everything, {"name": "a", "raw": 4, "size": 9, "later": 9, "shared": {}})
    assert (made.name, made.size, made.later, made.shared) == ("a", 8, 3, {})
    assert problems(Everything, {"name": "a", "scale": "x"}) == [
        ("/raw", "is missing"),
        ("/scale", "must be an integer, not a string"),
    ]


LIMITS = [
    (int, annotated_types.Ge(1), 1, 0, "must be at least 1"),
    (int, annotated_types.Gt(0), 1, 0, "must be more than 0"),
    (int, annotated_types.Le(5), 5, 6, "must be at most 5"),
    (int, annotated_types.Lt(5), 4, 5, "must be less than 5"),
    (int, annotated_types.Interval(ge=1, lt=5), 1, 5, "must be less than 5"),
    (int, annotated_types.MultipleOf(5), 10, 11, "must be a multiple of 5"),
    (float, annotated_types.MultipleOf(0.1), 0.3, 0.35, "must be a multiple of 0.1"),
    (str, annotated_types.MinLen(2), "ab", "a", "must be at least 2 long"),
    (str, annotated_types.MaxLen(2), "ab", "abc", "must be at most 2 long"),
    (list[int], annotated_types.Len(1, 2), [1], [], "must be at least 1 long"),
    (int, pydantic.Field(gt=0, le=5), 5, 6, "must be at most 5"),
    (str, pydantic.Field(pattern="^a"), "ab", "ba", "must match '^a'"),
    (str, pydantic.StringConstraints(min_length=2), "ab", "a", "must be at least 2 long"),
    (int, msgspec.Meta(ge=1), 1, 0, "must be at least 1"),
    (timedelta, annotated_types.Gt(timedelta(0)), 1, 0, "must be more than 0:00:00"),
]


@pytest.mark.parametrize(("kind", "limit", "good", "bad", "message"), LIMITS, ids=repr)
def test_limits_of_annotations_hold(
    kind: Any, limit: Any, good: Any, bad: Any, message: str
) -> None:
    annotation: Any = Annotated[kind, "what it is for", limit]
    convert(annotation, good)
    assert problems(annotation, bad) == [("", message)]
    assert problems(dict[str, annotation], {"a": bad}) == [("/a", message)]


def test_a_limit_that_the_type_cannot_have_is_a_problem_of_the_value() -> None:
    ((_, message),) = problems(Annotated[str, annotated_types.Ge(1)], "a")
    assert message.startswith("is refused with TypeError")


class Kind(enum.Enum):
    FILE = "file"


@dataclass
class Postgres:
    kind: Literal["postgres", "pg"]
    host: str


@dataclass
class Sqlite:
    kind: Literal["sqlite"]
    path: str
    options: dict[str, int] = field(default_factory=dict)


@dataclass
class File:
    kind: Literal[Kind.FILE]
    folder: str


class Memory(TypedDict):
    kind: Literal["memory"]
    size: int


class Remote(pydantic.BaseModel):
    kind: Literal["remote"]
    url: str


Store = Postgres | Sqlite | File | Memory | Remote | None


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"kind": "sqlite", "host": "a"}, [("/path", "is missing")]),
        ({"kind": "pg", "options": {"a": "x"}}, [("/host", "is missing")]),
        ({"kind": "sqlite", "path": 1}, [("/path", "must be a string, not an integer")]),
        ({"kind": "file"}, [("/folder", "is missing")]),
        ({"kind": "memory", "size": "x"}, [("/size", "must be an integer, not a string")]),
        ({"kind": "remote"}, [("/url", "Field required")]),
        (
            {"kind": "mysql", "host": "a"},
            [("/kind", "must be one of 'postgres', 'pg', 'sqlite', 'file', 'memory', 'remote'")],
        ),
        (
            {"kind": [1]},
            [("/kind", "must be one of 'postgres', 'pg', 'sqlite', 'file', 'memory', 'remote'")],
        ),
        ({"host": "a"}, [("/kind", "is missing")]),
    ],
)
def test_the_tag_of_a_union_decides_what_is_reported(
    value: Any, expected: list[tuple[str, str]]
) -> None:
    assert problems(Store, value) == expected
    assert problems(dict[str, Store], {"a": value}) == [(f"/a{at}", text) for at, text in expected]


def test_the_tag_of_a_union_decides_what_is_made() -> None:
    assert convert(Store, {"kind": "pg", "host": "a"}) == Postgres("pg", "a")
    assert convert(Store, {"kind": "file", "folder": "a"}) == File(Kind.FILE, "a")
    assert convert(Store, {"kind": "remote", "url": "a"}) == Remote(kind="remote", url="a")
    assert convert(Store, None) is None


def test_a_tag_with_a_default_may_be_missing() -> None:
    @dataclass
    class Plain:
        size: int
        kind: Literal["plain"] = "plain"

    @dataclass
    class Tagged:
        kind: Literal["tagged"]

    assert convert(Plain | Tagged, {"size": 1}) == Plain(1)
    assert problems(Plain | Tagged, {"size": "x"}) == [
        ("/size", "must be an integer, not a string")
    ]


def test_objects_without_tags_may_stand_beside_those_with_them() -> None:
    model = Sqlite | Postgres | dict[str, int]
    assert convert(model, {"a": 1}) == {"a": 1}
    assert problems(model, {"kind": "sqlite"}) == [("/path", "is missing")]


@pytest.mark.parametrize(
    ("model", "value", "expected"),
    [
        (dict[Literal["a"], int], {"b": 1}, [("/b", "must be one of 'a'")]),
        (Mapping[Kind, int], {"a/b": 1}, [("/a~1b", "must be one of 'file'")]),
        (dict[int, str], {"x": "a"}, [("/x", "must have an integer as its name")]),
        (dict[IPv4Address, int], {"x": 1}, [("/x", "must be an IPv4 address")]),
    ],
)
def test_a_problem_of_a_key_has_the_key_in_its_pointer(
    model: Any, value: Any, expected: list[tuple[str, str]]
) -> None:
    assert problems(model, value) == expected


def test_keys_may_be_integers() -> None:
    assert convert(dict[int, str], {"1": "a", "-20": "b"}) == {1: "a", -20: "b"}


def test_classes_of_a_function_may_refer_to_each_other() -> None:
    @dataclass
    class Leaf:
        size: "Size"

    @dataclass
    class Branch:
        leaves: "list[Leaf]"
        inner: "Branch | None" = None

    class Size(enum.IntEnum):
        ONE = 1

    made = convert(Branch, {"leaves": [{"size": 1}], "inner": {"leaves": []}})
    assert made == Branch([Leaf(Size.ONE)], Branch([]))


def test_a_class_of_a_function_is_preferred_to_one_of_its_module() -> None:
    @dataclass
    class Host:
        other: "Host | None" = None

    assert convert(Host, {"other": {}}) == Host(Host())


def test_a_name_that_is_nowhere_is_refused_before_any_document() -> None:
    @dataclass
    class Odd:
        other: "Nowhere"  # type: ignore[name-defined]  # noqa: F821

    with pytest.raises(TypeError, match=r"Odd.*'Nowhere', which is not defined"):
        convert(Odd, {})


@pydantic.dataclasses.dataclass
class PydanticDataclass:
    size: int = pydantic.Field(gt=0, alias="pool_size")


def test_a_pydantic_dataclass_is_validated_by_pydantic() -> None:
    assert convert(PydanticDataclass, {"pool_size": 1}).size == 1
    expected = [("/pool_size", "Input should be greater than 0")]
    assert problems(PydanticDataclass, {"pool_size": 0}) == expected


def test_pointers_of_pydantic_lead_into_the_document() -> None:
    class Cat(pydantic.BaseModel):
        kind: Literal["cat"]
        lives: int

    class Dog(pydantic.BaseModel):
        kind: Literal["dog"]

    class Pets(pydantic.BaseModel):
        pets: list[Annotated[Cat | Dog, pydantic.Field(discriminator="kind")]]
        size: int | list[int] = 0

    value = {"pets": [{"kind": "cat"}], "size": ["x"]}
    pointers = [at for at, _ in problems(Pets, value)]
    assert pointers == ["/pets/0/lives", "/size", "/size/0"]
    assert problems(Pets, {"pets": [{"kind": "hunter2"}]})[0][0] == "/pets/0"


def test_unknown_members_can_be_refused() -> None:
    from configsvc_client._binding.conversion import converter

    @dataclass
    class Inner:
        a: int

    @dataclass
    class Outer:
        inner: Inner
        box: Box[int]
        model: Model[int]

    value = {
        "inner": {"a": 1, "b": 1},
        "box": {"content": 1, "b": 1},
        "model": {"item": 1, "b": 1},
        "c": 1,
    }
    converter(Outer)(value, ())
    with pytest.raises(Exception, match="b") as caught:
        converter(Outer, strict=True)(value, ())
    found = [problem.pointer for problem in caught.value.problems]  # type: ignore[attr-defined]
    assert found == ["/inner/b", "/box/b", "/model/b", "/c"]
