"""Routes and middlewares of the HTTP API."""
