"""Secrets: marked by pointers, and masked where they are shown."""

import copy
import json
import logging
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from configsvc_client._values.diff import compare
from configsvc_client._values.frozen import FrozenDict, FrozenList, freeze, is_same, thaw
from configsvc_client._values.secrets import Secret, mark_secrets

TEXT = "hunter2"

EVERY_STRING = [
    "/password",
    "/a/b",
    "/users/0/token",
    "/users/0/name",
    "/users/1/token",
    "/nested/deep/0",
    "/nested/name",
]


def secrets(value: Any, path: str = "") -> list[str]:
    """Pointers to the secrets in a value."""
    if isinstance(value, dict):
        return [
            found for key, member in value.items() for found in secrets(member, f"{path}/{key}")
        ]
    if isinstance(value, list):
        return [found for i, item in enumerate(value) for found in secrets(item, f"{path}/{i}")]
    return [path] if isinstance(value, Secret) else []


@pytest.mark.parametrize(
    ("pointers", "expected"),
    [
        ([], []),
        (["/password"], ["/password"]),
        (["/users/*/token"], ["/users/0/token", "/users/1/token"]),
        (["/users/1/token"], ["/users/1/token"]),
        (["/*/0/token"], ["/users/0/token"]),
        (["/a~1b"], ["/a/b"]),
        (["/nested"], ["/nested/deep/0", "/nested/name"]),
        (["/nested/deep", "/password"], ["/password", "/nested/deep/0"]),
        (["/size", "/nothing/here", "/password/further", "/users/7"], []),
        (["/*"], EVERY_STRING),
        ([""], EVERY_STRING),
    ],
)
def test_strings_that_pointers_lead_to_are_marked(pointers: list[str], expected: list[str]) -> None:
    config = freeze(
        {
            "password": "p",
            "a/b": "q",
            "size": 1,
            "users": [{"token": "t", "name": "n"}, {"token": "u"}],
            "nested": {"deep": ["d", 1], "name": "e"},
        }
    )
    assert secrets(mark_secrets(config, pointers)) == expected


def test_what_is_marked_is_equal_and_frozen_and_the_rest_is_shared() -> None:
    config = freeze({"password": TEXT, "other": {"a": 1}, "list": [TEXT]})
    marked = mark_secrets(config, ["/password", "/list/0"])
    assert marked == config
    assert is_same(marked, config)
    assert (type(marked), type(marked["list"])) == (FrozenDict, FrozenList)
    assert marked["other"] is config["other"]
    assert secrets(config) == []


def test_without_anything_to_mark_it_is_the_same_object() -> None:
    config = freeze({"a": {"b": 1}})
    assert mark_secrets(config, ["/password"]) is config
    marked = mark_secrets(freeze({"password": TEXT}), ["/password"])
    assert mark_secrets(marked, ["/password"]) is marked


@dataclass
class Settings:
    password: str


@pytest.mark.parametrize(
    "show",
    [
        repr,
        ascii,
        lambda secret: repr({"password": secret}),
        lambda secret: repr([secret]),
        lambda secret: repr(Settings(secret)),
        lambda secret: f"{secret!r}",
        lambda secret: "%r" % secret,  # noqa: UP031 - what logging does
        lambda secret: f"{ ({'a': secret}) }",
        lambda secret: repr(copy.deepcopy(freeze({"a": secret}))),
        lambda secret: repr(freeze({"a": secret}).copy()),
        lambda secret: repr(pickle.loads(pickle.dumps(freeze({"a": secret})))),
        lambda secret: str(compare({"a": secret}, {})[0]),
        lambda secret: str(compare({"a": secret}, {"a": Secret("new hunter2")})[0]),
        lambda secret: repr(compare({}, {"a": {"b": secret}})),
    ],
)
def test_it_is_masked_where_it_is_shown(show: Callable[[Secret], str]) -> None:
    shown = show(Secret(TEXT))
    assert TEXT not in shown
    assert "**********" in shown


def test_a_log_line_with_its_repr_is_masked(caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger("application").warning("settings: %s", {"password": Secret(TEXT)})
    assert "settings: {'password': '**********'}" in caplog.text


@pytest.mark.parametrize(
    "use",
    [
        str,
        lambda secret: f"{secret}",
        lambda secret: "%s" % secret,  # noqa: UP031 - what drivers do
        lambda secret: "" + secret,
        lambda secret: "".join([secret]),
        lambda secret: json.loads(json.dumps({"a": secret}))["a"],
        lambda secret: secret.encode().decode(),
        lambda secret: {TEXT: TEXT}[secret],
        thaw,
    ],
)
def test_it_is_its_text_where_it_is_used(use: Callable[[Secret], str]) -> None:
    assert use(Secret(TEXT)) == TEXT
    assert type(use(Secret(TEXT))) is str


def test_it_equals_its_text() -> None:
    assert (Secret(TEXT), hash(Secret(TEXT))) == (TEXT, hash(TEXT))
    assert Secret(TEXT) != Secret("other")


@pytest.mark.parametrize(
    "copied", [copy.copy, copy.deepcopy, lambda s: pickle.loads(pickle.dumps(s))]
)
def test_copies_and_pickles_are_secret_too(copied: Callable[[Secret], Secret]) -> None:
    made = copied(Secret(TEXT))
    assert (type(made), made) == (Secret, TEXT)
