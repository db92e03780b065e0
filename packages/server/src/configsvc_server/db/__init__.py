"""PostgreSQL: the connection pool, the migrations, and an embedded server to start with."""
