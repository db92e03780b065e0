"""Forks, pre-forking servers and the end of the interpreter, over the stub."""

from pathlib import Path

import pytest

from tests.client import scenarios
from tests.client.stub import StubServer


def _publisher(stub: StubServer) -> scenarios.Publish:
    return lambda size: stub.publish(database={"pool_size": size})


def _with_application(stub: StubServer) -> str:
    """Answer also what the scripts ask for by the wrappers."""
    stub.bodies["/api/v1/applications/billing"] = (
        b'{"id": "01K9YV5C7W3V0Y1Q3W6M8N2B4E", "name": "billing", "comments": null,'
        b' "created_at": "2026-11-24T08:00:00Z", "updated_at": "2026-11-24T08:00:00Z",'
        b' "configuration_ids": []}'
    )
    return stub.url


def test_a_forked_child_polls_by_itself(stub: StubServer) -> None:
    scenarios.check_fork(_with_application(stub), _publisher(stub))


def test_what_outlives_its_client_follows_changes_in_a_child(stub: StubServer) -> None:
    scenarios.check_outliving(stub.url, _publisher(stub))


@pytest.mark.parametrize("first_use", ["view", "bound", "wrapper"])
def test_a_fork_without_hooks_is_noticed(stub: StubServer, first_use: str) -> None:
    scenarios.check_foreign_fork(_with_application(stub), _publisher(stub), first_use)


def test_many_forks_harm_nobody(stub: StubServer) -> None:
    scenarios.check_many_forks(_with_application(stub), _publisher(stub))


def test_a_subprocess_harms_nobody(stub: StubServer) -> None:
    scenarios.check_subprocess(stub.url, _publisher(stub))


def test_the_interpreter_does_not_wait_for_a_poll(stub: StubServer) -> None:
    scenarios.check_exit(stub.url)


def test_preloaded_gunicorn_workers_follow_changes(stub: StubServer, tmp_path: Path) -> None:
    scenarios.check_gunicorn(stub.url, _publisher(stub), tmp_path)
