"""The sections of the settings, one frozen dataclass each."""

from .app import App
from .database import Database, PoolerMode, SslMode
from .later import Ai, Csrf, Email, Jwt, Oidc, Payment, Session
from .log import Log, LogFormat
from .rate_limit import RateLimit
from .redis import Redis
from .server import EventLoop, Server
from .telemetry import Telemetry
from .websocket import WebSocket
from .worker import Worker

__all__ = [
    "Ai",
    "App",
    "Csrf",
    "Database",
    "Email",
    "EventLoop",
    "Jwt",
    "Log",
    "LogFormat",
    "Oidc",
    "Payment",
    "PoolerMode",
    "RateLimit",
    "Redis",
    "Server",
    "Session",
    "SslMode",
    "Telemetry",
    "WebSocket",
    "Worker",
]
