"""The async face behind the interface of the threaded one, so that the suite runs over it too."""

import asyncio
import threading
from collections.abc import AsyncIterator, Coroutine, Iterator, Mapping
from inspect import iscoroutine
from typing import Any, Self

from configsvc_client import AsyncConfigClient, AsyncConfigView


class Portal:
    """Event loop in a thread of its own, to which calls are brought."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()

    def run(self, call: Any, *args: Any, **kwargs: Any) -> Any:
        """Make a call on the loop, and await what it returns where it can be awaited."""

        async def make() -> Any:
            returned = call(*args, **kwargs)
            return await returned if iscoroutine(returned) else returned

        return self.wait(make())

    def wait(self, main: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(main, self._loop).result(60)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class BlockingClient:
    """Client whose calls are those of an async one."""

    def __init__(self, url: str) -> None:
        self._portal = Portal()
        self._client = AsyncConfigClient(url)
        self._views: dict[AsyncConfigView, BlockingView] = {}

    def application(self, name: str, *, environment: str = "default") -> "BlockingView":
        view = self._client.application(name, environment=environment)
        return self._views.setdefault(view, BlockingView(view, self._portal))

    def on_status(self, callback: Any) -> Any:
        return self._portal.run(self._client.on_status, callback)

    @property
    def instance_id(self) -> str:
        return self._client.instance_id

    def instances(self, application: Any, environment: Any = None) -> "_BlockingInstances":
        return _BlockingInstances(self._client.instances(application, environment), self._portal)

    def replay(self, *args: Any, **kwargs: Any) -> Any:
        return self._portal.run(self._client.replay, *args, **kwargs)

    def me(self) -> Any:
        return self._portal.run(self._client.me)

    def __getattr__(self, name: str) -> "_Blocking":
        return _Blocking(getattr(self._client, name), self._portal)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._portal.run(self._client.aclose)
        self._portal.close()


class BlockingView(Mapping[str, Any]):
    """View whose reads wait until it is ready, as those of the threaded one do."""

    def __init__(self, view: AsyncConfigView, portal: Portal) -> None:
        self._view = view
        self._portal = portal

    def __getitem__(self, name: str) -> Any:
        return self._read()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._read())

    def __len__(self) -> int:
        return len(self._read())

    def __bool__(self) -> bool:
        return bool(self._view)

    __eq__ = object.__eq__
    __hash__ = object.__hash__

    def __repr__(self) -> str:
        return repr(self._view)

    def get(self, path: str, default: Any = None) -> Any:
        return self._read().get(path, default)

    def snapshot(self) -> Any:
        return self._read().snapshot()

    def bind(self, *args: Any, **kwargs: Any) -> "_Blocking":
        self._read()
        return _Blocking(self._portal.run(self._view.bind, *args, **kwargs), self._portal)

    def wait_until_ready(self, timeout: float | None = None) -> None:
        self._portal.run(self._view.ready, timeout)

    def on_change(self, callback: Any, path: str = "", *, call_now: bool = False) -> Any:
        if call_now:
            self._read()
        return self._portal.run(self._view.on_change, callback, path, call_now=call_now)

    def status(self) -> Any:
        return self._view.status()

    def refresh(self) -> Any:
        return self._portal.run(self._view.refresh)

    def diff(self, *args: Any, **kwargs: Any) -> Any:
        self._read()
        return self._portal.run(self._view.diff, *args, **kwargs)

    def at(self, *args: Any) -> Any:
        return self._portal.run(self._view.at, *args)

    def close(self) -> None:
        self._portal.run(self._view.aclose)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _read(self) -> AsyncConfigView:
        self.wait_until_ready()
        return self._view


class _Blocking:
    """Object whose calls are made on the loop."""

    def __init__(self, inner: Any, portal: Portal) -> None:
        self.__dict__.update(_inner=inner, _portal=portal)

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        return _BlockingCall(found, self._portal) if callable(found) else found

    def __repr__(self) -> str:
        return repr(self._inner)


class _BlockingInstances(_Blocking):
    def __iter__(self) -> Iterator[Any]:
        return _BlockingIterator(aiter(self._inner), self._portal)


class _BlockingCall:
    def __init__(self, call: Any, portal: Portal) -> None:
        self._call, self._portal = call, portal

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        returned = self._portal.run(self._call, *args, **kwargs)
        if isinstance(returned, AsyncIterator):
            return _BlockingIterator(returned, self._portal)
        return returned


class _BlockingIterator(Iterator[Any]):
    def __init__(self, items: Any, portal: Portal) -> None:
        self._items, self._portal = items, portal

    def __iter__(self) -> Iterator[Any]:
        return _BlockingIterator(aiter(self._items), self._portal)

    def __next__(self) -> Any:
        try:
            return self._portal.run(self._items.__anext__)
        except StopAsyncIteration:
            raise StopIteration from None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._items, name)

    def __enter__(self) -> Self:
        self._portal.run(self._items.__aenter__)
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        self._portal.run(self._items.aclose)
