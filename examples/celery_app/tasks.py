"""Celery with live settings: each task uses what the configuration says when it begins.

    pip install "celery[redis]" configsvc-client
    cd examples/celery_app
    CONFIGSVC_URL=http://localhost:8080 celery -A tasks worker --loglevel INFO

The server needs an application ``billing`` with two configurations, for instance:

    celery  {"broker_url": "redis://localhost"}
    mail    {"sender": "billing@example.com", "is_on": true}

``celery call tasks.remind --args '[7]'`` gives the worker something to do. The processes of the
pool are forked after the view was used here; each follows the configuration by itself.
"""

import copy

from celery import Celery
from celery.utils.log import get_task_logger

from configsvc_client import ConfigClient

log = get_task_logger(__name__)

config = ConfigClient().application("billing")

celery = Celery("billing")
# Celery reads its settings once, and puts some of its own beside them: it gets a copy.
celery.conf.update(copy.deepcopy(config["celery"]))


@celery.task
def remind(invoice_id: int) -> str:
    """Remind a customer of an invoice, and return how it was sent."""
    # One document, taken once: its values fit together, whatever changes meanwhile.
    mail = config["mail"]
    if not mail["is_on"]:
        return "mail is turned off"
    log.info("Reminding of invoice %s from %s", invoice_id, mail["sender"])
    return f"sent from {mail['sender']}"
