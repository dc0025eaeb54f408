"""The version of the service, from its own package metadata."""

from __future__ import annotations

from importlib.metadata import version

VERSION = version("plinth")
