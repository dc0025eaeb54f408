"""uvicorn, with our words and our limits: only this package knows it, and httptools."""
