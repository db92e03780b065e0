"""Settings of gunicorn that patch the parent before it loads the application."""

from gevent import monkey

monkey.patch_all()
