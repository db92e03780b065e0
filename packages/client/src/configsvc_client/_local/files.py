"""Local files: the configurations of applications in a folder, or in one file."""

import hashlib
import json
import os
import stat
import time
from collections.abc import Callable, Iterator, Mapping
from copy import copy
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

from configsvc_client._local.documents import SUFFIXES, file_error, object_of, read_document
from configsvc_client._values.merging import merged
from configsvc_client.errors import ConfigFileError, NotFoundError

__all__ = ["Layer", "LocalFiles", "LocalState", "LocalValues"]


class Layer(NamedTuple):
    """Document that a configuration is made of."""

    origin: str
    """Path of the file; empty where it is from none."""
    document: Mapping[str, Any]
    is_patch: bool
    """Whether it is a JSON Merge Patch over those before."""


class LocalState(NamedTuple):
    """Configurations of one application in one environment, at one time."""

    etag: str
    """Digest of the values, in quotes."""
    body: bytes
    """Snapshot as a server would send it."""
    layers: Mapping[str, tuple[Layer, ...]]
    """Documents by the name of the configuration, lowest first."""


class _Stamp(NamedTuple):
    """Facts that differ when a file was written or replaced."""

    modified: int
    """Time in nanoseconds."""
    size: int
    inode: int
    device: int


class _Entry(NamedTuple):
    """File of one configuration, or of its overlay."""

    name: str
    is_overlay: bool
    path: str
    stamp: _Stamp


class _Known(NamedTuple):
    """State, and the files that it was read from."""

    entries: tuple[_Entry, ...]
    state: LocalState
    is_settled: bool
    """Whether the files were old enough for another write to give them another stamp."""


class LocalFiles:
    """Configurations in files, read again when one of them is another.

    A folder has ``<application>/<configuration>.<suffix>``, and overlays, which are JSON Merge
    Patches, in ``<application>/<environment>/<configuration>.<suffix>``. A file has an object
    of applications, which are objects of configurations, and its overlay is the file beside it
    with the environment before the suffix: ``config.prod.yaml`` of ``config.yaml``.

    It takes no lock: two threads that read at once both get a whole state.
    """

    SETTLED: Final = 2.0
    """Seconds after which a file system gives another write another time."""

    QUIET: Final = 0.05
    """Seconds without a write after which files that changed are read."""

    ATTEMPTS: Final = 20
    """Number of times to wait for files that keep changing."""

    def __init__(self, path: Path, sleep: Callable[[float], object] = time.sleep) -> None:
        """Create it without looking at any file.

        Args:
            path: the folder or file.
            sleep: waits for some seconds.
        """
        self.path = path
        """Folder or file."""
        self._sleep = sleep
        self._known: dict[tuple[str, str], _Known] = {}
        self._broken: dict[tuple[str, str], tuple[tuple[_Entry, ...], ConfigFileError]] = {}
        self._documents: dict[str, tuple[_Stamp, dict[str, Any]]] = {}

    def layers(self, application: str, environment: str) -> Mapping[str, tuple[Layer, ...]]:
        """Return the documents as they were read last, by the name of the configuration."""
        known = self._known.get((application, environment))
        return known.state.layers if known else {}

    def read(self, application: str, environment: str, *, anew: bool = False) -> LocalState:
        """Return the state as it is now.

        Args:
            application: the name of the application.
            environment: the name of the environment; one without overlays has the same values
                as every other.
            anew: whether to read files also if they look as before.

        Raises:
            ConfigFileError: a file can't be read, or two are of one configuration.
            NotFoundError: there is no such application.
        """
        key = application, environment
        known = self._known.get(key)
        found = tuple(self._entries(application, environment))
        is_same = known is not None and found == known.entries
        if known is not None and is_same and known.is_settled and not anew:
            return known.state
        entries, error = self._broken.get(key, ((), None))
        if error is not None and entries == found and not anew:
            raise copy(error)
        for _ in range(self.ATTEMPTS):
            if not is_same and (known is not None or not _is_settled(found)):
                # Somebody is writing: read neither half a file, nor half of several.
                self._sleep(self.QUIET)
                before, found = found, tuple(self._entries(application, environment))
                if before != found:
                    continue
            is_settled = _is_settled(found)
            try:
                state = self._state(application, environment, found, anew=anew)
            except ConfigFileError as error:
                again = tuple(self._entries(application, environment))
                if again == found:
                    if is_settled:
                        # Not parsed again and again, four times a second.
                        self._broken[key] = found, error
                    raise
            else:
                again = tuple(self._entries(application, environment))
                if again == found:
                    if known is not None and state.etag == known.state.etag:
                        # The same text, so that nothing is made of it anew.
                        state = known.state._replace(layers=state.layers)
                    self._known[key] = _Known(found, state, is_settled)
                    return state
            found, is_same = again, False
        raise file_error(self.path, "keeps changing")

    def _entries(self, application: str, environment: str) -> Iterator[_Entry]:
        if self.path.is_dir():
            yield from self._folder_entries(application, environment)
        elif self.path.exists():
            if self.path.suffix.lower() not in SUFFIXES:
                raise file_error(self.path, f"must end with {', '.join(SUFFIXES)}, or be a folder")
            yield _Entry("", False, str(self.path), _stamp(self.path.stat(), self.path))
            overlay = self.path.with_name(f"{self.path.stem}.{environment}{self.path.suffix}")
            if _is_plain(environment) and overlay.exists():
                yield _Entry("", True, str(overlay), _stamp(overlay.stat(), overlay))
        else:
            raise file_error(self.path, "does not exist")

    def _folder_entries(self, application: str, environment: str) -> Iterator[_Entry]:
        folder = self.path / application
        if not _is_plain(application) or not folder.is_dir():
            raise _no_application(application, f"no folder of that name in {self.path}")
        bases = list(_files(folder, is_overlay=False))
        yield from bases
        names = {entry.name for entry in bases}
        if _is_plain(environment) and (folder / environment).is_dir():
            for entry in _files(folder / environment, is_overlay=True):
                if entry.name not in names:
                    what = f"is an overlay of {entry.name!r}, which is not in {folder}"
                    raise file_error(Path(entry.path), what)
                yield entry

    def _state(
        self, application: str, environment: str, entries: tuple[_Entry, ...], *, anew: bool
    ) -> LocalState:
        layers: dict[str, tuple[Layer, ...]] = {}
        for entry in entries:
            content = self._document(entry, anew=anew)
            if entry.name:
                layer = Layer(entry.path, content, entry.is_overlay)
                layers[entry.name] = (*layers.get(entry.name, ()), layer)
                continue
            if application not in content and not entry.is_overlay:
                raise _no_application(application, f"no such member in {entry.path}")
            _add_members(layers, content, application, Path(entry.path), is_patch=entry.is_overlay)
        times = [entry.stamp.modified for entry in entries]
        at = datetime.fromtimestamp(max(times, default=0) / 1e9, UTC)
        return _state_of(application, environment, layers, at)

    def _document(self, entry: _Entry, *, anew: bool) -> dict[str, Any]:
        stamp, document = self._documents.get(entry.path, (None, {}))
        if stamp != entry.stamp or anew:
            document = read_document(Path(entry.path))
            if _is_settled((entry,)):
                self._documents[entry.path] = entry.stamp, document
        return document


class LocalValues:
    """Configurations in an object of this program, which does not change."""

    def __init__(self, values: Mapping[str, Mapping[str, Mapping[str, Any]]], name: str) -> None:
        """Check and copy the values.

        Args:
            values: configurations by application and name.
            name: a noun for them, for errors.

        Raises:
            ConfigFileError: they have what JSON can't have.
        """
        self._values = object_of(values, None, name)
        self._name = name
        for application in self._values:
            _add_members({}, self._values, application, name, is_patch=False)

    def read(self, application: str, environment: str, *, anew: bool = False) -> LocalState:
        """Return the state; see :meth:`LocalFiles.read`."""
        if application not in self._values:
            raise _no_application(application, f"no such member in the {self._name}")
        layers: dict[str, tuple[Layer, ...]] = {}
        _add_members(layers, self._values, application, "", is_patch=False)
        return _state_of(application, environment, layers, datetime.fromtimestamp(0, UTC))


def _is_settled(entries: tuple[_Entry, ...]) -> bool:
    now = time.time_ns()
    young = now - int(LocalFiles.SETTLED * 1e9)
    # A time in the future, of another computer's clock, says nothing.
    return not any(young < entry.stamp.modified <= now for entry in entries)


def _files(folder: Path, *, is_overlay: bool) -> Iterator[_Entry]:
    """Yield the files of configurations in a folder, in the order of their names.

    It comes four times a second, maybe with thousands of files: paths are strings here.
    """
    found: dict[str, str] = {}
    try:
        files = sorted(os.listdir(folder))  # noqa: PTH208 - see above
    except OSError as error:
        raise file_error(folder, f"can't be read ({error.strerror})") from None
    for file in files:
        name, suffix = os.path.splitext(file)  # noqa: PTH122 - see above
        # Hidden files and those of editors, such as ~$database.json or #database.json#.
        if suffix.lower() not in SUFFIXES or file[0] in ".~#":
            continue
        path = f"{folder}{os.sep}{file}"
        try:
            found_stat = os.stat(path)  # noqa: PTH116 - see above
        except FileNotFoundError:
            if os.path.islink(path):  # noqa: PTH114 - see above
                raise file_error(Path(path), "points to nothing") from None
            # It was there a moment ago.
            continue
        except OSError as error:
            raise file_error(Path(path), f"can't be read ({error.strerror})") from None
        if stat.S_ISDIR(found_stat.st_mode):
            continue
        if name in found:
            raise file_error(Path(path), f"is of the same configuration as {found[name]}")
        found[name] = file
        yield _Entry(name, is_overlay, path, _stamp(found_stat, path))


def _stamp(found: os.stat_result, path: Path | str) -> _Stamp:
    if not stat.S_ISREG(found.st_mode):
        # Reading a pipe would wait for whoever writes into it.
        raise file_error(Path(path), "is no regular file")
    return _Stamp(found.st_mtime_ns, found.st_size, found.st_ino, found.st_dev)


def _add_members(
    layers: dict[str, tuple[Layer, ...]],
    content: Mapping[str, Any],
    application: str,
    subject: Path | str,
    *,
    is_patch: bool,
) -> None:
    """Add the configurations of an application in an object of applications."""
    members = content.get(application, {})
    if not isinstance(members, dict):
        raise file_error(subject, "must be an object of configurations", pointer=f"/{application}")
    for name, document in members.items():
        if not isinstance(document, dict):
            pointer = f"/{application}/{name}"
            raise file_error(
                subject, "must be an object, as it is a configuration", pointer=pointer
            )
        if is_patch and name not in layers:
            what = "is an overlay of a configuration that does not exist"
            raise file_error(subject, what, pointer=f"/{application}/{name}")
        layer = Layer(str(subject), document, is_patch)
        layers[name] = (*layers.get(name, ()), layer)


def _state_of(
    application: str,
    environment: str,
    layers: Mapping[str, tuple[Layer, ...]],
    at: datetime,
) -> LocalState:
    configs: dict[str, Any] = {}
    for name, documents in sorted(layers.items()):
        for layer in documents:
            is_patch = layer.is_patch
            configs[name] = merged(configs[name], layer.document) if is_patch else layer.document
    text = json.dumps(configs, sort_keys=True).encode()
    document = {
        "application_id": application,
        "application": application,
        "environment": environment,
        "configurations": {
            name: {
                "id": layers[name][-1].origin or name,
                "version": 1,
                "updated_at": at.isoformat(),
                "config": config,
            }
            for name, config in configs.items()
        },
    }
    etag = f'"{hashlib.sha256(text).hexdigest()}"'
    return LocalState(etag, json.dumps(document).encode(), layers)


def _is_plain(name: str) -> bool:
    """Return whether a name is that of an entry of a folder, which is not hidden."""
    marks = "/\\\0:" if os.name == "nt" else "/\\\0"
    return not name.startswith(".") and not any(mark in name for mark in marks)


def _no_application(name: str, why: str) -> NotFoundError:
    return NotFoundError(f"There is no application {name!r}: there is {why}.")
