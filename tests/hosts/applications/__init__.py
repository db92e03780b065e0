"""Applications that the hosts run. Each reads its view at import and in each request."""
