"""Database URLs: which are refused, and that no description shows a password."""

import pytest

from configsvc_server.db.urls import describe_url, parse_url

AMBIGUOUS = [
    "postgresql://me:se/cret@host/db",
    "postgresql://me:se/cret@host/db?application_name=x",
    "postgres://me:12/cret@host:5432/db",
    "postgresql://me:12/cret@",
    "postgresql://me:se@cret@host/db",
    "postgresql://me:12@/cret@host/db",
    "postgresql://me:se?a/cret@host/db",
    "postgresql://me:12?a=b/cret@host/db",
    "postgresql://me:se%cret@host/db",
    "postgresql://me:secret",
    "postgresql:/me:secret@host/db",
    "host=h port=1 user=me password=se cret",
    "host=h port=1 user=me password=se c=ret",
    "host=h port=1 user=me password='se cret",
    "host=h port=secret user=me",
    "host=h dbname=postgresql://me:secret@host/db",
    "mysql://me:secret@host/db",
]


@pytest.mark.parametrize("url", AMBIGUOUS)
def test_what_could_show_a_password_is_refused_and_not_described(url: str) -> None:
    assert parse_url(url) is None
    assert describe_url(url) == "a database whose URL is wrong or ambiguous"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql://me:secret@host:5432/db", "db at host:5432 as me"),
        ("postgresql://me:se%2Fcret%40@host/db", "db at host as me"),
        ("postgresql://me:se#cret@host/db", "db at host as me"),
        ("postgresql://me:se?cret@host/db", "db at host as me"),
        ("postgresql://host/db?user=me&password=se@/cret", "db at host as me"),
        ("postgresql://me@host", "me at host as me"),
        ("postgresql://[::1]:5432/db", "db at ::1:5432"),
        ("postgresql://one:1,two:2/db", "db at one,two:1,2"),
        ("postgresql:///db?host=/run/postgresql", "db at /run/postgresql"),
        ("host=h user=me password='se /@ cret' dbname=db", "db at h as me"),
        ("host=h user=me password=se/cret", "me at h as me"),
        ("dbname=a@b", "a@b at local socket"),
        ("", "default database at local socket"),
    ],
)
def test_a_description_has_all_but_the_password(url: str, expected: str) -> None:
    assert parse_url(url) is not None
    assert describe_url(url) == expected
