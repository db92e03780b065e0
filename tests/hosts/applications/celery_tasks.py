"""Celery application over files in the folder ``CELERY_FOLDER``."""

import os
import time
from pathlib import Path

from tests.hosts.applications.celery_files import make_celery
from tests.hosts.applications.reading import answer

__all__ = ["celery", "read"]

celery = make_celery(Path(os.environ["CELERY_FOLDER"]))


@celery.task(name="read")
def read() -> str:
    # Busy for a moment, so that the next task goes to another worker.
    time.sleep(0.05)
    return answer()
