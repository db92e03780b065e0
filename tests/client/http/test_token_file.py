"""Token files: when they are read, and what happens while there is no token in them."""

import logging
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from configsvc_client import AuthError, ConfigClient
from configsvc_client._http.token_file import TokenFile
from tests.client.conftest import MakeClient
from tests.client.http.test_credentials import everything_about
from tests.client.stub import Handler, StubServer, status

LONG_AGO = 1_700_000_000


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file that has had the token ``first`` for long."""
    path = tmp_path / "token"
    write(path, "first\n", LONG_AGO)
    return path


def write(path: Path, text: str, at: float | None = None) -> None:
    path.write_text(text)
    if at is not None:
        os.utime(path, (at, at))


@pytest.fixture
def stats(path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was looked at, each time."""
    seen: list[str] = []
    stat = os.stat

    def note(file: Any, *args: Any, **kwargs: Any) -> os.stat_result:
        if str(file) == str(path):
            seen.append(str(file))
        return stat(file, *args, **kwargs)

    monkeypatch.setattr(os, "stat", note)
    return seen


def test_the_token_is_sent_without_the_line_break_after_it(
    stub: StubServer, make_client: MakeClient, path: Path
) -> None:
    stub.answer(status(204))
    make_client(stub.url, token_file=path).applications.delete("billing")
    assert stub.requests[0][2]["Authorization"] == "Bearer first"


def rename_over(path: Path) -> None:
    other = path.with_name("other")
    write(other, "later", LONG_AGO)
    other.rename(path)


def write_anew(path: Path) -> None:
    write(path, "later", LONG_AGO)


def write_just_now(path: Path) -> None:
    write(path, "later")


@pytest.mark.parametrize("change", [rename_over, write_anew, write_just_now])
def test_a_file_that_was_replaced_is_read_again(path: Path, change: Callable[[Path], None]) -> None:
    token = TokenFile(path)
    assert token() == "first"
    change(path)
    assert token() == "later"


def test_a_file_is_read_again_where_kubernetes_turns_the_link_to_its_folder(
    tmp_path: Path,
) -> None:
    for name in ("first", "later"):
        (tmp_path / f"..{name}").mkdir()
        write(tmp_path / f"..{name}" / "token", name, LONG_AGO)
    data = tmp_path / "..data"
    data.symlink_to("..first")
    (tmp_path / "token").symlink_to("..data/token")
    token = TokenFile(tmp_path / "token")
    assert token() == "first"
    (tmp_path / "..data_tmp").symlink_to("..later")
    (tmp_path / "..data_tmp").rename(data)
    assert token() == "later"


def test_what_is_written_twice_within_one_step_of_the_clock_is_seen(path: Path) -> None:
    now = time.time()
    write(path, "first", now)
    token = TokenFile(path)
    write(path, "later", now)
    assert token() == "later"


def test_a_request_costs_one_stat(
    stub: StubServer, make_client: MakeClient, path: Path, stats: list[str]
) -> None:
    stub.answer(status(204))
    client = make_client(stub.url, token_file=path)
    stats.clear()
    for count in (1, 2, 3):
        client.applications.delete("billing")
        assert len(stats) == count


def missing(path: Path) -> None:
    path.unlink()


def empty(path: Path) -> None:
    path.write_text(" \n")


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def huge(path: Path) -> None:
    path.write_text("x" * 70_000)


def two_lines(path: Path) -> None:
    path.write_text("s3cr3t\ns3cr3t\n")


DAMAGES = [
    (missing, r"can't be read \(No such file or directory\)"),
    (empty, "is empty"),
    (folder, "is no regular file"),
    (huge, "is larger than 65536 bytes"),
    (two_lines, "has a line break"),
]


@pytest.mark.parametrize(("damage", "problem"), DAMAGES)
def test_a_file_without_a_token_is_refused_at_construction(
    path: Path, damage: Callable[[Path], None], problem: str
) -> None:
    damage(path)
    with pytest.raises(ValueError, match=f"token_file: .*{problem}") as caught:
        TokenFile(path)
    assert "s3cr3t" not in everything_about(caught.value)
    with pytest.raises(ValueError, match=problem):
        ConfigClient("http://server", token_file=path)


@pytest.mark.parametrize(("damage", "problem"), DAMAGES)
def test_a_file_that_loses_its_token_leaves_the_last_one_and_is_logged_once(
    path: Path,
    damage: Callable[[Path], None],
    problem: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    token = TokenFile(path)
    damage(path)
    with caplog.at_level(logging.DEBUG):
        assert [token() for _ in range(3)] == ["first"] * 3
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert "s3cr3t" not in record.getMessage()


def test_a_token_that_comes_back_is_sent(path: Path) -> None:
    token = TokenFile(path)
    path.unlink()
    token()
    write(path, "later")
    assert token() == "later"


def test_the_environment_names_a_file(
    stub: StubServer, make_client: MakeClient, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONFIGSVC_TOKEN_FILE", str(path))
    stub.answer(status(204))
    make_client(stub.url).applications.delete("billing")
    assert stub.requests[0][2]["Authorization"] == "Bearer first"


@pytest.mark.parametrize(
    ("given", "sent"), [({"token": "mine"}, "mine"), ({"token_file": True}, "first")]
)
def test_an_argument_goes_before_the_environment(
    stub: StubServer,
    make_client: MakeClient,
    path: Path,
    monkeypatch: pytest.MonkeyPatch,
    given: dict[str, Any],
    sent: str,
) -> None:
    monkeypatch.setenv("CONFIGSVC_TOKEN", "another")
    monkeypatch.setenv("CONFIGSVC_TOKEN_FILE", "/nowhere")
    options = {"token_file": path} if "token_file" in given else given
    stub.answer(status(204))
    make_client(stub.url, **options).applications.delete("billing")
    assert stub.requests[0][2]["Authorization"] == f"Bearer {sent}"


def test_two_tokens_are_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="token and token_file exclude each other"):
        ConfigClient("http://server", token="mine", token_file=path)
    monkeypatch.setenv("CONFIGSVC_TOKEN", "another")
    monkeypatch.setenv("CONFIGSVC_TOKEN_FILE", str(path))
    with pytest.raises(ValueError, match="CONFIGSVC_TOKEN and CONFIGSVC_TOKEN_FILE exclude"):
        ConfigClient("http://server")


def test_neither_client_nor_file_show_the_token(
    stub: StubServer, make_client: MakeClient, path: Path
) -> None:
    write(path, "s3cr3t")
    client = make_client(stub.url, token_file=path)
    stub.answer(status(401))
    with pytest.raises(AuthError) as caught:
        client.applications.get("billing")
    shown = everything_about(caught.value) + repr(client) + repr(client._options)
    assert "s3cr3t" not in shown + repr(TokenFile(path))


def test_a_request_that_is_refused_is_sent_again_with_what_the_file_has_by_then(
    stub: StubServer, make_client: MakeClient, path: Path
) -> None:
    def rotate(handler: Handler) -> None:
        write(path, "later")
        handler.reply(204 if handler.headers["Authorization"] == "Bearer later" else 401)

    stub.answer(rotate)
    make_client(stub.url, token_file=path).applications.delete("billing")
    assert [headers["Authorization"] for *_, headers in stub.requests] == [
        "Bearer first",
        "Bearer later",
    ]
