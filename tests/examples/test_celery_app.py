"""The Celery sample: tasks in forked processes see a change."""

import sys
from collections.abc import Callable, Iterator

import pytest

from tests.examples.conftest import Configure
from tests.hosts.applications.celery_files import OUT, make_celery, options, send
from tests.hosts.running import ROOT, Command, Place, started
from tests.support.waiting import until

COMMAND = (
    *(sys.executable, "-m", "celery", "-A", "tasks", "worker", "--concurrency", "2"),
    *("--loglevel", "INFO", "--without-gossip", "--without-mingle"),
)

Remind = Callable[[], str]
"""Lets a worker do a task, and returns what it returned."""


@pytest.fixture
def remind(place: Place, configure: Configure) -> Iterator[Remind]:
    client = make_celery(place.folder, out=OUT)
    configure("celery", {"broker_url": client.conf.broker_url, **options(place.folder)})
    configure("mail", {"sender": "old@example.com", "is_on": True})
    with started(Command, place, COMMAND, cwd=ROOT / "examples/celery_app") as running:
        running.wait_for(r"ready\.")

        def remind() -> str:
            task = send(client, "tasks.remind", [7], place.folder)
            return running.wait_for(rf"\[{task}\] succeeded in \S+: '(.+)'")[1]

        yield remind
        running.stop()
        assert not running.trouble("superuser privileges"), running.output


def test_a_task_has_the_sender_of_this_moment(remind: Remind, configure: Configure) -> None:
    assert remind() == "sent from old@example.com"
    configure("mail", {"sender": "new@example.com"})
    until(lambda: remind() == "sent from new@example.com")
