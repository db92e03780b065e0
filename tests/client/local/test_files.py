"""States that are read from a folder or a file."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from configsvc_client import ConfigFileError, NotFoundError
from configsvc_client._local import files as files_module
from configsvc_client._local.documents import read_document
from configsvc_client._local.files import LocalFiles


def configs(path: Path, environment: str = "default") -> Any:
    document = json.loads(LocalFiles(path).read("billing", environment).body)
    return {name: entry["config"] for name, entry in document["configurations"].items()}


def age(path: Path, seconds: float = 60) -> None:
    """Make a file look as if it was written a while ago."""
    at = path.stat().st_mtime - seconds
    os.utime(path, (at, at))


def test_a_folder_has_a_file_for_each_configuration_in_any_format(folder: Path) -> None:
    (folder / "billing" / "mail.toml").write_text('sender = "a@b"')
    (folder / "billing" / "limits.yaml").write_text("per_minute: 60")
    assert configs(folder) == {
        "database": {"host": "db1", "pool_size": 10},
        "limits": {"per_minute": 60},
        "mail": {"sender": "a@b"},
    }


def test_an_overlay_is_merged_in_its_environment_only(folder: Path) -> None:
    (folder / "billing" / "prod").mkdir()
    (folder / "billing" / "prod" / "database.yaml").write_text("{pool_size: 50, host: null}")
    assert configs(folder, "prod") == {"database": {"pool_size": 50}}
    assert configs(folder, "staging") == {"database": {"host": "db1", "pool_size": 10}}
    assert configs(folder) == {"database": {"host": "db1", "pool_size": 10}}


def test_an_overlay_of_nothing_is_an_error(folder: Path) -> None:
    (folder / "billing" / "prod").mkdir()
    (folder / "billing" / "prod" / "databse.json").write_text("{}")
    with pytest.raises(ConfigFileError, match=r"databse\.json.* overlay of 'databse'"):
        configs(folder, "prod")


def test_one_file_has_all_applications(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("{billing: {database: {pool_size: 10, host: db1}}, shop: {}}")
    assert configs(path) == {"database": {"pool_size": 10, "host": "db1"}}
    (tmp_path / "config.prod.yaml").write_text("{billing: {database: {pool_size: 50}}}")
    assert configs(path, "prod") == {"database": {"pool_size": 50, "host": "db1"}}
    assert configs(path) == {"database": {"pool_size": 10, "host": "db1"}}


@pytest.mark.parametrize(
    ("content", "overlay", "message"),
    [
        ("{billing: 1}", "{}", r"config\.yaml, /billing: it must be an object"),
        ("{billing: {database: 1}}", "{}", r"config\.yaml, /billing/database: it must be an obj"),
        (
            "{billing: {}}",
            "{billing: {mail: {}}}",
            r"config\.prod\.yaml, /billing/mail: .* overlay",
        ),
    ],
)
def test_one_file_that_has_something_else_is_an_error(
    tmp_path: Path, content: str, overlay: str, message: str
) -> None:
    (tmp_path / "config.yaml").write_text(content)
    (tmp_path / "config.prod.yaml").write_text(overlay)
    with pytest.raises(ConfigFileError, match=message):
        configs(tmp_path / "config.yaml", "prod")


@pytest.mark.parametrize(
    ("name", "message"),
    [("missing", "does not exist"), ("config.ini", r"must end with \.json, \.yaml")],
)
def test_what_is_neither_folder_nor_file_is_an_error(
    tmp_path: Path, name: str, message: str
) -> None:
    (tmp_path / "config.ini").write_text("a = 1")
    with pytest.raises(ConfigFileError, match=message):
        configs(tmp_path / name)


@pytest.mark.parametrize("name", ["shop", "..", ".hidden", "billing/prod", "../config/billing"])
def test_an_application_without_a_folder_is_not_found(folder: Path, name: str) -> None:
    (folder / ".hidden").mkdir()
    (folder / "billing" / "prod").mkdir()
    with pytest.raises(NotFoundError, match="There is no application"):
        LocalFiles(folder).read(name, "default")


@pytest.mark.parametrize("name", ["..", "../shop", ".hidden"])
def test_an_environment_is_no_way_out_of_the_folder(folder: Path, name: str) -> None:
    for other in (folder, folder / "shop", folder / "billing" / ".hidden"):
        other.mkdir(exist_ok=True)
        (other / "database.json").write_text('{"pool_size": 1}')
    assert configs(folder, name)["database"]["pool_size"] == 10


@pytest.mark.parametrize(
    "name",
    [
        ".database.json.swp",
        ".#mail.json",
        "#mail.json#",
        "mail.json~",
        "~$mail.json",
        ".mail.json",
        "mail.json___jb_tmp___",
        "4913",
        "README.md",
    ],
)
def test_files_of_editors_are_ignored(folder: Path, name: str) -> None:
    (folder / "billing" / name).write_text("{")
    assert list(configs(folder)) == ["database"]


def test_two_files_of_one_configuration_are_an_error(folder: Path) -> None:
    (folder / "billing" / "database.yml").write_text("a: 1")
    with pytest.raises(ConfigFileError, match=r"database\.yml.* same .* as database\.json"):
        configs(folder)


def test_a_link_that_points_to_nothing_is_an_error(folder: Path) -> None:
    (folder / "billing" / "mail.json").symlink_to("nowhere")
    with pytest.raises(ConfigFileError, match=r"mail\.json: it points to nothing"):
        configs(folder)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="has no named pipes")
def test_a_pipe_is_an_error_and_not_waited_for(folder: Path, tmp_path: Path) -> None:
    os.mkfifo(folder / "billing" / "pipe.json")
    with pytest.raises(ConfigFileError, match=r"pipe\.json: it is no regular file"):
        configs(folder)
    os.mkfifo(tmp_path / "pipe.json")
    with pytest.raises(ConfigFileError, match=r"pipe\.json: it is no regular file"):
        configs(tmp_path / "pipe.json")


def test_the_mount_of_a_config_map_is_read_and_its_replacement_noticed(tmp_path: Path) -> None:
    mount = tmp_path / "billing"
    for version, size in (("..v1", 10), ("..v2", 20)):
        (mount / version).mkdir(parents=True)
        path = mount / version / "database.json"
        path.write_text(json.dumps({"pool_size": size}))
        age(path)
    (mount / "..data").symlink_to("..v1")
    (mount / "database.json").symlink_to("..data/database.json")
    files = LocalFiles(tmp_path)
    assert b'"pool_size": 10' in files.read("billing", "default").body
    (mount / "..new").symlink_to("..v2")
    (mount / "..new").replace(mount / "..data")
    assert b'"pool_size": 20' in files.read("billing", "default").body


def test_the_etag_is_that_of_the_values(folder: Path) -> None:
    files = LocalFiles(folder)
    first = files.read("billing", "default")
    (folder / "billing" / "database.json").unlink()
    (folder / "billing" / "database.yaml").write_text("{pool_size: 10, host: db1}  # the same")
    assert files.read("billing", "default").etag == first.etag
    (folder / "billing" / "database.yaml").write_text("{pool_size: 11, host: db1}")
    assert files.read("billing", "default").etag != first.etag


def test_files_that_look_as_before_are_not_read_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "billing" / "mail.json").write_text("{}")
    for path in (folder / "billing").iterdir():
        age(path)
    files = LocalFiles(folder)
    first = files.read("billing", "default")
    read: list[Path] = []

    def reading(path: Path) -> dict[str, Any]:
        read.append(path)
        return read_document(path)

    monkeypatch.setattr(files_module, "read_document", reading)
    assert files.read("billing", "default") is first
    assert read == []
    (folder / "billing" / "mail.json").write_text('{"a": 1}')
    files.read("billing", "default")
    assert {path.name for path in read} == {"mail.json"}


def test_a_file_that_was_just_written_is_read_again(folder: Path) -> None:
    path = folder / "billing" / "database.json"
    files = LocalFiles(folder)
    files.read("billing", "default")
    stat = path.stat()
    path.write_text('{"host": "db1", "pool_size": 99}')
    # As coarse as the clock of some file systems.
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert b'"pool_size": 99' in files.read("billing", "default").body


def test_a_broken_file_that_stays_as_it_is_is_not_parsed_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = folder / "billing" / "database.json"
    path.write_text("{")
    age(path)
    files = LocalFiles(folder)
    with pytest.raises(ConfigFileError) as first:
        files.read("billing", "default")
    monkeypatch.setattr(files_module, "read_document", None)
    with pytest.raises(ConfigFileError) as second:
        files.read("billing", "default")
    assert str(second.value) == str(first.value)
    assert second.value is not first.value


def test_files_are_read_when_nobody_writes_any_more(folder: Path) -> None:
    path = folder / "billing" / "database.json"
    steps = iter(['{"pool_size": 1}', '{"pool_size": 12}', None])

    def write(_seconds: float) -> None:
        text = next(steps)
        if text is not None:
            path.write_text(text)

    age(path)
    files = LocalFiles(folder, sleep=write)
    files.read("billing", "default")
    path.write_text('{"pool_size":')
    assert b'"pool_size": 12' in files.read("billing", "default").body
    assert next(steps, "nothing is left") == "nothing is left"


def test_files_that_keep_changing_are_an_error(folder: Path) -> None:
    path = folder / "billing" / "database.json"
    sizes = iter(range(1000))
    files = LocalFiles(folder, sleep=lambda _: path.write_text(" " * next(sizes)))
    with pytest.raises(ConfigFileError, match="keeps changing"):
        files.read("billing", "default")


def test_a_file_that_is_replaced_is_not_missed_in_between(folder: Path) -> None:
    path = folder / "billing" / "database.json"
    age(path)
    files = LocalFiles(
        folder, sleep=lambda _: path.exists() or path.write_text('{"pool_size": 20}')
    )
    files.read("billing", "default")
    path.unlink()
    assert b'"pool_size": 20' in files.read("billing", "default").body
