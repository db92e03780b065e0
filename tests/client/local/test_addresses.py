"""Addresses of files."""

from pathlib import Path

import pytest

from configsvc_client import ConfigClient
from configsvc_client._local.addresses import path_of


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("file:///etc/app", "/etc/app"),
        ("file:/etc/app", "/etc/app"),
        ("file://localhost/etc/app", "/etc/app"),
        ("FILE:///etc/app/", "/etc/app"),
        ("file:///etc/my%20app", "/etc/my app"),
        ("file:/etc/my app", "/etc/my app"),
        ("file:///etc/100%", "/etc/100%"),
        ("file:///etc/a?b#c", "/etc/a?b#c"),
        ("file:config", "{cwd}/config"),
        ("file:./config", "{cwd}/config"),
        ("file://./config", "{cwd}/config"),
        ("file:../config", "{parent}/config"),
        ("file:.", "{cwd}"),
        ("file:~/config", "{home}/config"),
    ],
)
def test_an_address_is_read_as_people_mean_it(
    url: str, path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/ada")
    expected = path.format(cwd=tmp_path, parent=tmp_path.parent, home="/home/ada")
    assert path_of(url) == Path(expected)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("file:", "must have the path"),
        ("file://", "must have the path"),
        ("file:///a%00b", "must have the path"),
        ("file://config/app", "names the host 'config'; .* file:./config/app"),
    ],
)
def test_an_address_of_nothing_is_refused_with_what_is_possible(url: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ConfigClient(url)


def test_a_relative_address_stays_where_it_was_when_the_client_was_created(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder.parent)
    with ConfigClient("file:./config") as client:
        monkeypatch.chdir("/")
        assert client.application("billing")["database"]["pool_size"] == 10
        assert repr(client) == "<ConfigClient file:./config, 1 view>"


def test_the_address_may_be_in_the_variable(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONFIGSVC_URL", f"file://{folder}")
    with ConfigClient() as client:
        assert client.application("billing")["database"]["host"] == "db1"
