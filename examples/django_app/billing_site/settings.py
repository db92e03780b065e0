"""Settings of Django, from the configurations of ``billing``."""

import copy

from configsvc_client import ConfigClient

CONFIG = ConfigClient().application("billing")
"""The live configuration; ``django.conf.settings.CONFIG`` in views."""

# Django reads what follows once. A change of it needs a restart, as a change of this file would.
_site = CONFIG["django"]

DEBUG = _site.get("debug", False)
SECRET_KEY = _site["secret_key"]
ALLOWED_HOSTS = list(_site["allowed_hosts"])

# Django adds its own defaults to what it gets here, so it gets a copy.
DATABASES = {"default": copy.deepcopy(CONFIG["database"])}

ROOT_URLCONF = "billing_site.urls"
WSGI_APPLICATION = "billing_site.wsgi.application"
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.common.CommonMiddleware",
]
INSTALLED_APPS = ["django.contrib.contenttypes", "django.contrib.auth"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
