"""Forks, pre-forking servers and the end of the interpreter, over a real server."""

from collections.abc import Callable
from pathlib import Path

from tests.client import scenarios
from tests.support.servers import RunningServer

Publish = Callable[[int], None]


def test_a_forked_child_polls_by_itself(live_server: RunningServer, publish: Publish) -> None:
    scenarios.check_fork(live_server.url, publish)


def test_what_outlives_its_client_follows_changes_in_a_child(
    live_server: RunningServer, publish: Publish
) -> None:
    scenarios.check_outliving(live_server.url, publish)


def test_a_fork_without_hooks_is_noticed(live_server: RunningServer, publish: Publish) -> None:
    scenarios.check_foreign_fork(live_server.url, publish, "view")


def test_many_forks_harm_nobody(live_server: RunningServer, publish: Publish) -> None:
    scenarios.check_many_forks(live_server.url, publish)


def test_a_subprocess_harms_nobody(live_server: RunningServer, publish: Publish) -> None:
    scenarios.check_subprocess(live_server.url, publish)


def test_the_interpreter_does_not_wait_for_a_poll(
    live_server: RunningServer, publish: Publish
) -> None:
    scenarios.check_exit(live_server.url)


def test_preloaded_gunicorn_workers_follow_changes(
    live_server: RunningServer, publish: Publish, tmp_path: Path
) -> None:
    scenarios.check_gunicorn(live_server.url, publish, tmp_path)
