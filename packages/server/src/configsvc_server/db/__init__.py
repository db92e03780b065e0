"""PostgreSQL: connection pool, migrations, change listener, and an embedded server."""
