"""Section `telemetry`: traces and metrics."""

from __future__ import annotations

from dataclasses import dataclass

from app.core.settings import declare
from app.core.settings.kinds import Network


@dataclass(frozen=True, slots=True, kw_only=True)
class Telemetry:
    """Traces and metrics."""

    otlp_endpoint: str = declare.http_url(
        "Base address of an OpenTelemetry collector (OTLP over HTTP, usually port 4318); without it nothing is traced."
    )
    sample: float = declare.share(1.0, "Share of requests that are traced, unless the caller has decided already.")
    networks: tuple[Network, ...] = declare.networks(
        "127.0.0.0/8,::1/128,10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,fc00::/7",
        "Networks from which `/metrics` is answered; everybody else is told 403.",
    )
