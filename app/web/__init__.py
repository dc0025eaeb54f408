"""The HTTP edge: errors to JSON, deadlines, CORS; what a browser or client meets."""

from app.web.application import Application, resources

__all__ = ["Application", "resources"]
