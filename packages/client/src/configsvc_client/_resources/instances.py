"""``client.instances(…)``: which instances serve which version, and which reject it."""

import math
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from typing import Final

from configsvc_client._http.api import Api, Pages, segment
from configsvc_client._resources.fleet_models import Convergence, Instance, PastInstance
from configsvc_client._resources.fleet_readers import (
    read_convergence,
    read_instance,
    read_past_instance,
)
from configsvc_client._resources.ids import application_path, environment_name, environment_path
from configsvc_client._resources.models import Application, Environment
from configsvc_client.errors import ServerError, TransportError

__all__ = ["ConvergenceWait", "Instances"]


class Instances:
    """Wrapper of the endpoints of a fleet: the instances that poll for one environment.

    Iterated over, it gives all of them.

    Example:
        >>> [instance.state for instance in client.instances("billing")]
        ['current']
    """

    def __init__(
        self, api: Api, application: Application | str, environment: Environment | str
    ) -> None:
        self._api = api
        self._application = application
        self._environment = environment_name(environment)

    def __repr__(self) -> str:
        name = self._application if isinstance(self._application, str) else self._application.name
        return f"<instances of {name}/{self._environment}: list, get, at, convergence, wait>"

    def __iter__(self) -> Iterator[Instance]:
        return iter(self.list())

    def list(
        self, *, state: str | None = None, service: str | None = None, page_size: int = 200
    ) -> Pages[Instance]:
        """Iterate over the instances.

        Args:
            state: only those that are ``current``, ``behind``, ``rejecting`` or ``gone``.
            service: only those of the program with this name.
            page_size: how many to ask for at a time, 1 to 1000.

        Example:
            >>> [instance.host for instance in client.instances("billing").list(state="behind")]
            []
        """
        return self._api.pages(
            self._path("instances"),
            partial(read_instance, application=self._name(), environment=self._environment),
            what="instances",
            params={"state": state, "service": service},
            page_size=page_size,
        )

    def get(self, instance: Instance | str) -> Instance:
        """Return an instance as it is now.

        Args:
            instance: the instance or its id.

        Raises:
            NotFoundError: nothing is known of it.

        Example:
            >>> client.instances("billing").get(client.instance_id).state
            'current'
        """
        response = self._api.call("GET", self._path("instances", _id(instance)))
        reader = partial(read_instance, application=self._name(), environment=self._environment)
        return self._api.read(response, reader)

    def at(self, instance: Instance | str, timestamp: datetime) -> PastInstance:
        """Return an instance as it was at a timestamp, with the snapshot that it served then.

        Args:
            instance: the instance or its id.
            timestamp: a time that is not in the future, with a time zone.

        Raises:
            NotFoundError: nothing is known of it then; the message says why.
            ValueError: the timestamp has no time zone.

        Example:
            >>> (instance,) = client.instances("billing")
            >>> client.instances("billing").at(instance, instance.last_seen_at).rejections
            ()
        """
        if timestamp.utcoffset() is None:
            raise ValueError(f"{timestamp!r} could be any moment of a day: give it a time zone.")
        params = {"at": timestamp.astimezone(UTC).isoformat().replace("+00:00", "Z")}
        path = self._path("instances", _id(instance))
        return self._api.read(self._api.call("GET", path, params=params), read_past_instance)

    def convergence(self, version: str | None = None) -> Convergence:
        """Return how many instances serve a version, and how many reject it.

        Args:
            version: the ETag of the snapshot, without quotes, as ``Status.version`` has it; what
                is served now by default.

        Example:
            >>> client.instances("billing").convergence().state
            'converged'
        """
        return self._ask(version)[0]

    def wait(
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
                before, the first and the last included.

        Returns:
            How it is then: its ``state`` is ``converging`` if the time was over.

        Example:
            >>> client.instances("billing").wait(timeout=60, on_progress=print)
            the 1 instance serves this version
            the 1 instance serves this version
        """
        waiting = self.waiting(version, timeout)
        while not waiting.is_over:
            news = waiting.step()
            if news is not None and on_progress is not None:
                on_progress(news)
        return waiting.result()

    def waiting(
        self, version: str | None = None, timeout: float | None = None
    ) -> "ConvergenceWait":
        """Return a wait that is made step by step, for those who do something in between.

        Args:
            version: the ETag of the snapshot, without quotes; what is served now by default.
            timeout: seconds to wait at most; without it, as long as it takes.

        Example:
            >>> waiting = client.instances("billing").waiting(timeout=60)
            >>> while not waiting.is_over:
            ...     print(waiting.step())
            the 1 instance serves this version
        """
        return ConvergenceWait(self, version, timeout)

    def _ask(
        self, version: str | None, *, wait: float = 0.0, bypass_cache: bool = False
    ) -> tuple[Convergence, bool]:
        """Return how it is, and whether the server has waited."""
        path = self._path("convergence")
        response = self._api.call(
            "GET", path, params={"version": version}, wait=wait, bypass_cache=bypass_cache
        )
        return self._api.read(response, read_convergence), response.has_waited

    def _name(self) -> str:
        return self._application if isinstance(self._application, str) else self._application.id

    def _path(self, *steps: str) -> str:
        base = environment_path(application_path(self._api, self._application), self._environment)
        return "/".join((base, *map(segment, steps)))


class ConvergenceWait:
    """Wait for a version, made in steps of a few seconds, so that progress can be told.

    Example:
        >>> waiting = client.instances("billing").waiting(timeout=60)
        >>> waiting.step(), waiting.is_over
        (the 1 instance serves this version, True)
    """

    STEP: Final = 2.0
    """Seconds that one step takes at most."""

    LONGEST_OUTAGE: Final = 60.0
    """Seconds without an answer after which it gives up."""

    def __init__(
        self,
        instances: Instances,
        version: str | None,
        timeout: float | None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self.is_over: bool = False
        """Whether it is final, or the time is over."""
        self._instances = instances
        self._version = version
        self._clock = clock
        self._sleep = sleep
        self._deadline = math.inf if timeout is None else clock() + timeout
        self._answered_at = clock()
        self._latest: Convergence | None = None

    def __repr__(self) -> str:
        return f"<ConvergenceWait: {self._latest or 'not asked yet'}>"

    def step(self) -> Convergence | None:
        """Ask once; return how it is, or ``None`` where that is as it was.

        Raises:
            ConfigSvcError: the server refuses, or has not answered for a minute.

        Example:
            >>> client.instances("billing").waiting().step()
            the 1 instance serves this version
        """
        started, before = self._clock(), self._latest
        try:
            found, has_waited = self._ask(before)
        except (TransportError, ServerError):
            now = self._clock()
            if now - self._answered_at > self.LONGEST_OUTAGE or now >= self._deadline:
                raise
            self._rest(self.STEP, started)
            return None
        self._answered_at = self._clock()
        self._latest, self._version = found, found.version
        self.is_over = found.is_final or self._clock() >= self._deadline
        if not (self.is_over or has_waited or before is None):
            # A server has only so many places to wait in.
            self._rest(self.STEP / 2, started)
        return found if found != before else None

    def result(self) -> Convergence:
        """Return how it was at the last step.

        Example:
            >>> waiting = client.instances("billing").waiting()
            >>> news = waiting.step()
            >>> waiting.result().state
            'converged'
        """
        return self._latest or self._ask(None)[0]

    def _ask(self, before: Convergence | None) -> tuple[Convergence, bool]:
        if before is None:
            # Of the database: this server need not be the one that was written to.
            return self._instances._ask(self._version, bypass_cache=True)
        left = min(self.STEP, self._deadline - self._clock())
        return self._instances._ask(self._version, wait=max(1.0, left))

    def _rest(self, seconds: float, started: float) -> None:
        now = self._clock()
        self._sleep(max(0.0, min(started + seconds, self._deadline) - now))


def _id(instance: Instance | str) -> str:
    return instance if isinstance(instance, str) else instance.id
