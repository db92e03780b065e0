"""Celery over files in a folder, for workers and for those who give them tasks."""

from collections.abc import Sequence
from pathlib import Path

from celery import Celery

__all__ = ["OUT", "QUEUE", "make_celery", "options", "send"]

QUEUE = "queue"
"""Folder from which workers take tasks."""

OUT = "out"
"""Folder into which tasks are written."""


def options(folder: Path, *, out: str = QUEUE) -> dict[str, object]:
    """Return the settings of Celery that make files in ``folder`` its broker."""
    return {
        "broker_transport_options": {
            "data_folder_in": str(folder / QUEUE),
            "data_folder_out": str(folder / out),
            "control_folder": str(folder / "control"),
            "polling_interval": 0.02,
        },
        "broker_connection_retry_on_startup": True,
        "worker_prefetch_multiplier": 1,
    }


def make_celery(folder: Path, *, out: str = QUEUE) -> Celery:
    """Return an application that puts its own tasks into the folder ``out``."""
    for name in {QUEUE, out, "control"}:
        (folder / name).mkdir(exist_ok=True)
    made = Celery("hosts", broker="filesystem://localhost")
    made.conf.update(options(folder, out=out))
    return made


def send(client: Celery, task: str, arguments: Sequence[object], folder: Path) -> str:
    """Give the workers a task and return its id."""
    sent = client.send_task(task, arguments)
    # Moved when it is complete: workers would read a file while it is being written.
    for file in (folder / OUT).iterdir():
        file.rename(folder / QUEUE / file.name)
    return str(sent.id)
