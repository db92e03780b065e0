"""Which servers a test runs over, and how it waits for one that tells in its own time."""

from collections.abc import Callable
from queue import SimpleQueue

import pytest

from configsvc_client import Change, ConfigView

NextChange = Callable[[], Change]


def live_only(reason: str) -> pytest.MarkDecorator:
    """Run a test over the real server alone, for a difference that the fake declares."""
    assert reason
    return pytest.mark.parametrize("client", ["live"], indirect=True)


def threads_only(reason: str) -> pytest.MarkDecorator:
    """Leave out the async face, for a difference that it declares."""
    assert reason
    return pytest.mark.parametrize("client", ["fake", "live"], indirect=True)


def subscribe(view: ConfigView, path: str = "") -> NextChange:
    """Subscribe to a view, and return a function that waits for the next change and returns it.

    Callbacks are called in the order of their subscriptions: when this returns a change, those
    from before have been called, too.
    """
    changes: SimpleQueue[Change] = SimpleQueue()
    view.on_change(changes.put, path)
    return lambda: changes.get(timeout=20)
