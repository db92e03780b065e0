"""Async wrapper of a fleet: the instances that poll for one environment."""

from collections.abc import AsyncIterator, Callable
from functools import partial
from inspect import isawaitable
from typing import Final

from configsvc_client._aio.wrapping import Wrapper, awaited, iterated, like, show
from configsvc_client._resources.fleet_models import Convergence, Instance
from configsvc_client._resources.instances import Instances
from configsvc_client._resources.models import Application, Environment, Promotion
from configsvc_client._resources.releases import Releases

__all__ = ["AsyncInstances", "promote"]


class AsyncInstances(Wrapper[Instances]):
    """Wrapper of the endpoints of a fleet, to be awaited; for ``async for``, all instances.

    Example:
        >>> [instance.state async for instance in client.instances("billing")]
        ['current']
    """

    list: Final = iterated(Instances.list)
    show(
        list,  # noqa: A003 - the one above
        """
        >>> [instance.id async for instance in client.instances("billing").list(state="behind")]
        []
        """,
    )
    get: Final = awaited(Instances.get)
    show(
        get,
        """
        >>> (await client.instances("billing").get(client.instance_id)).state
        'current'
        """,
    )
    at: Final = awaited(Instances.at)
    show(
        at,
        """
        >>> instance = await client.instances("billing").get(client.instance_id)
        >>> (await client.instances("billing").at(instance, instance.last_seen_at)).rejections
        ()
        """,
    )
    convergence: Final = awaited(Instances.convergence)
    show(
        convergence,
        """
        >>> await client.instances("billing").convergence()
        the 1 instance serves this version
        """,
    )

    def __aiter__(self) -> AsyncIterator[Instance]:
        return aiter(self.list())

    async def wait(
        self,
        version: str | None = None,
        *,
        timeout: float | None = None,
        on_progress: Callable[[Convergence], object] | None = None,
    ) -> Convergence:
        """Wait until a version has converged, was rejected, or is superseded.

        Args:
            version: the ETag of the snapshot, without quotes; what is served now by default.
            timeout: seconds to wait at most; without it, as long as it takes.
            on_progress: gets each :class:`Convergence` that has other numbers than the one
                before, on the loop; an ``async def`` function is awaited.

        Returns:
            How it is then: its ``state`` is ``converging`` if the time was over.

        Example:
            >>> await client.instances("billing").wait(timeout=60, on_progress=print)
            the 1 instance serves this version
            the 1 instance serves this version
        """
        waiting = self._wrapped.waiting(version, timeout)
        while not waiting.is_over:
            news = await self._runner.run(waiting.step)
            if news is not None and on_progress is not None:
                await _finish(on_progress(news))
        return await self._runner.run(waiting.result)


async def promote(
    self: Wrapper[Releases],
    application: Application | str,
    from_: Environment | str,
    to: Environment | str,
    *,
    message: str | None = None,
    wait: bool | float = False,
    on_progress: Callable[[Convergence], object] | None = None,
) -> Promotion:
    """Release in one environment the versions that another serves; see below."""
    call = partial(Releases.promote, self._wrapped, application, from_, to, message=message)
    promotion = await self._runner.run(call)
    if wait is False:
        return promotion
    arrival = self._wrapped._arrival(application, to, wait, on_progress)
    while not arrival.is_over:
        news = await self._runner.run(arrival.ask)
        if news is not None:
            await _finish(arrival.tell(news))
    return arrival.of(promotion)


like(promote, Releases.promote)


async def _finish(returned: object) -> None:
    if isawaitable(returned):
        await returned
