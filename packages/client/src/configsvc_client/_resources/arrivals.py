"""Arrival of a release: how far it has come, told while it is waited for."""

from collections.abc import Callable
from dataclasses import replace
from logging import getLogger

from configsvc_client._http.api import Api
from configsvc_client._resources.fleet_models import Convergence
from configsvc_client._resources.instances import Instances
from configsvc_client._resources.models import Application, Environment, Promotion
from configsvc_client.errors import ConfigSvcError

__all__ = ["Arrival"]

_log = getLogger("configsvc_client")


class Arrival:
    """Wait for what has been released, which no failure of the wait takes back."""

    def __init__(
        self,
        api: Api,
        application: Application | str,
        environment: Environment | str,
        timeout: float | None,
        on_progress: Callable[[Convergence], object] | None,
    ) -> None:
        """Create a wait that has not asked yet.

        Args:
            api: the API of the server.
            application: the application, its id or its name.
            environment: the environment or its name.
            timeout: seconds to wait at most; ``None`` for as long as it takes.
            on_progress: called with what is new; it is logged by default.
        """
        instances = Instances(api, application, environment)
        self.is_over: bool = False
        """Whether there is nothing to wait for any more."""
        self._what = repr(instances).removeprefix("<instances of ").partition(":")[0]
        self._waiting = instances.waiting(timeout=timeout)
        self._on_progress = on_progress or self._log
        self._latest: Convergence | None = None

    def ask(self) -> Convergence | None:
        """Ask once; return what is new, if anything is."""
        try:
            news = self._waiting.step()
            self.is_over = self._waiting.is_over
        except ConfigSvcError as error:
            _log.warning(
                "The release in %s is made, but nobody knows who has it: %s", self._what, error
            )
            self.is_over = True
            return None
        self._latest = news or self._latest
        return news

    def step(self) -> object:
        """Ask once and tell what is new; return what the callback does."""
        news = self.ask()
        return None if news is None else self.tell(news)

    def tell(self, news: Convergence) -> object:
        """Tell what is new, and return what the callback does."""
        return self._on_progress(news)

    def of(self, promotion: Promotion) -> Promotion:
        """Return a promotion with how far it has come."""
        return replace(promotion, convergence=self._latest)

    def _log(self, news: Convergence) -> None:
        _log.info("%s: %s", self._what, news)
