"""Django with settings from a configuration, and a feature that is turned on while it runs.

    pip install django configsvc-client
    cd examples/django_app
    CONFIGSVC_URL=http://localhost:8080 python manage.py migrate
    CONFIGSVC_URL=http://localhost:8080 python manage.py runserver

The server needs an application ``billing`` with three configurations, for instance:

    django    {"debug": true, "secret_key": "…", "allowed_hosts": ["localhost"]}
    database  {"ENGINE": "django.db.backends.sqlite3", "NAME": "billing.sqlite3"}
    features  {"new_invoice": false}

``billing_site/settings.py`` reads them, and ``billing_site/views.py`` has the feature.
"""

import os
import sys

from django.core.management import execute_from_command_line

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "billing_site.settings")
    execute_from_command_line(sys.argv)
