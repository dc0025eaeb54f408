"""Metrics for Prometheus: what each part of a process tells of itself, in a registry of the process's own."""

from app.core.metrics.metrics import Metrics

__all__ = ["Metrics"]
