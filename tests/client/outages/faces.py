"""The two faces of the client behind one surface, so that what holds for one holds for both."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, Protocol, TypeVar

from configsvc_client import AsyncConfigClient, ConfigClient, Status

T = TypeVar("T")


class Face(Protocol):
    """A view of ``billing``."""

    def ready(self) -> None:
        """Wait for the first snapshot."""

    def pool_size(self) -> int:
        """Read from memory."""

    def status(self) -> Status:
        """Return the status of the view."""

    def close(self) -> None:
        """Close the client."""


class ThreadedFace:
    """:class:`ConfigClient`."""

    def __init__(self, url: str, **options: Any) -> None:
        self._client = ConfigClient(url, **options)
        self._app = self._client.application("billing")

    def ready(self) -> None:
        self._app.wait_until_ready()

    def pool_size(self) -> int:
        size: int = self._app["database"]["pool_size"]
        return size

    def status(self) -> Status:
        return self._app.status()

    def close(self) -> None:
        self._client.close()


class AsyncFace:
    """:class:`AsyncConfigClient`, used on a loop that runs in a thread of its own."""

    def __init__(self, url: str, **options: Any) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._client = AsyncConfigClient(url, **options)
        self._app = self._client.application("billing")

    def ready(self) -> None:
        self._await(self._app.ready())

    def pool_size(self) -> int:
        size: int = self._on_loop(lambda: self._app["database"]["pool_size"])
        return size

    def status(self) -> Status:
        return self._on_loop(self._app.status)

    def close(self) -> None:
        self._await(self._client.aclose())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def _await(self, awaited: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(awaited, self._loop).result(30)

    def _on_loop(self, call: Callable[[], T]) -> T:
        done: Future[T] = Future()

        def run() -> None:
            try:
                done.set_result(call())
            except BaseException as error:  # noqa: BLE001 - it is raised where it was called from
                done.set_exception(error)

        self._loop.call_soon_threadsafe(run)
        return done.result(10)


FACES: dict[str, Callable[..., Face]] = {"threads": ThreadedFace, "asyncio": AsyncFace}
