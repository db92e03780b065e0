"""Documents of JSON, YAML and TOML."""

import sys
from pathlib import Path
from typing import Any

import pytest

from configsvc_client import ConfigFileError
from configsvc_client._local.documents import read_document

YAML = """
base: &base {a: 1, b: [x, null]}
derived: {<<: *base, a: 2}
day: 2026-11-25
at: 2026-11-25T10:00:00Z
local: 2026-11-25 10:00:00
"""
TOML = """
day = 2026-11-25
at = 2026-11-25T10:00:00Z
offset = 2026-11-25T10:00:00+01:00
time = 10:30:00
[pool]
size = 10
"""


@pytest.fixture
def write(tmp_path: Path) -> Any:
    def write(name: str, content: str | bytes) -> Path:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.json", '\ufeff{"a": [1, 2.5, null, true, "ä"]}', {"a": [1, 2.5, None, True, "ä"]}),
        (
            "a.yaml",
            YAML,
            {
                "base": {"a": 1, "b": ["x", None]},
                "derived": {"a": 2, "b": ["x", None]},
                "day": "2026-11-25",
                "at": "2026-11-25T10:00:00Z",
                "local": "2026-11-25T10:00:00",
            },
        ),
        ("a.yml", "a: 1", {"a": 1}),
        (
            "a.toml",
            TOML,
            {
                "day": "2026-11-25",
                "at": "2026-11-25T10:00:00Z",
                "offset": "2026-11-25T10:00:00+01:00",
                "time": "10:30:00",
                "pool": {"size": 10},
            },
        ),
    ],
)
def test_a_document_is_what_json_would_have(
    write: Any, name: str, content: str, expected: dict[str, Any]
) -> None:
    assert read_document(write(name, content)) == expected


@pytest.mark.parametrize(
    ("name", "content", "message", "place"),
    [
        ("a.json", '{"a": 1,\n "b" 2}', "is no JSON", (2, 6, None)),
        ("a.json", '{"a": 1', "is no JSON", (1, 8, None)),
        ("a.json", "[1]", "must have an object at its top, not an array", (None, None, None)),
        ("a.json", '{"a": 1, "a": 2}', "has the member 'a' twice", (None, None, None)),
        ("a.json", '{"a": [0, NaN]}', "has the number nan, which JSON", (None, None, "/a/1")),
        ("a.json", '{"a": 1e999}', "has the number inf", (None, None, "/a")),
        ("a.json", "[" * 100_000, "is nested too deeply", (None, None, None)),
        ("a.json", "  \n", "is empty", (None, None, None)),
        ("a.json", b'{"a":\n "\xff"}', "is not in UTF-8", (2, None, None)),
        ("a.yaml", "a: 1\nb: [1", "is no YAML", (2, 6, None)),
        ("a.yaml", "a: 1\nb: 2\na: 3", "the key 'a' stands twice", (3, 1, None)),
        ("a.yaml", "a: {1: x}", "has the key 1, which is a number", (None, None, "/a")),
        ("a.yaml", "on: x", "has the key True, which is a boolean", (None, None, None)),
        ("a.yaml", "a/b: !!set {x}", "has a set, which JSON", (None, None, "/a~1b")),
        ("a.yaml", "a: !!binary aGk=", "has binary data", (None, None, "/a")),
        ("a.yaml", "a: .nan", "has the number nan", (None, None, "/a")),
        ("a.yaml", "a: &a [*a]", "in itself", (None, None, None)),
        ("a.yaml", "a: 1\n---\nb: 2", "is no YAML", (2, 1, None)),
        ("a.yaml", "a: !!python/object:os.system x", "is no YAML", (1, 4, None)),
        ("a.yaml", "a: 2026-13-45", "impossible value", (None, None, None)),
        ("a.yaml", "a: !!timestamp x", "impossible value", (None, None, None)),
        ("a.yaml", "a: !!bool x", "impossible value", (None, None, None)),
        ("a.json", '{"a": ' + "1" * 5000 + "}", "impossible value", (None, None, None)),
        ("a.toml", "a = 1\nb = \n", "is no TOML", (2, 5, None)),
        ("a.toml", "a = 1\nb = [", "is no TOML", (2, None, None)),
        ("a.toml", "a = nan", "has the number nan", (None, None, "/a")),
    ],
)
def test_what_is_no_json_is_an_error_with_its_place(
    write: Any,
    name: str,
    content: str,
    message: str,
    place: tuple[int | None, int | None, str | None],
) -> None:
    path = write(name, content)
    with pytest.raises(ConfigFileError, match=message) as caught:
        read_document(path)
    error = caught.value
    assert (error.line, error.column, error.pointer or None) == place
    assert error.file == str(path)
    assert str(error).startswith(str(path))
    assert error.line is None or f"line {error.line}" in str(error)


def test_yaml_without_its_extra_says_what_to_install(
    write: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "yaml", None)
    monkeypatch.delitem(sys.modules, "configsvc_client._local.yaml_documents", raising=False)
    # An attribute of the package would be found without an import.
    monkeypatch.delattr("configsvc_client._local.yaml_documents", raising=False)
    with pytest.raises(ConfigFileError, match=r"configsvc-client\[yaml\]"):
        read_document(write("a.yaml", "a: 1"))


def test_an_error_can_be_pickled_and_copied_with_its_place(write: Any) -> None:
    import copy
    import pickle

    with pytest.raises(ConfigFileError) as caught:
        read_document(write("a.json", "{"))
    for same in (copy.copy(caught.value), pickle.loads(pickle.dumps(caught.value))):
        assert (same.line, same.column, str(same)) == (1, 2, str(caught.value))


def test_aliases_of_aliases_are_refused_before_they_fill_the_memory(write: Any) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 6)]
    with pytest.raises(ConfigFileError, match=r"line 6, .* stand for more than 1,000,000 values"):
        read_document(write("a.yaml", "\n".join(lines)))


def test_a_few_aliases_are_followed(write: Any) -> None:
    path = write("a.yaml", "a: &a [1, 2]\nb: &b {x: *a, y: *a}\nc: [*a, *b]\n")
    both = {"x": [1, 2], "y": [1, 2]}
    assert read_document(path) == {"a": [1, 2], "b": both, "c": [[1, 2], both]}
