"""Plinth: a Docker-first foundation for Python services."""
