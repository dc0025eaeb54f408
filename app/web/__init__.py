"""The HTTP edge: errors to JSON, middleware, what a browser or client meets."""
