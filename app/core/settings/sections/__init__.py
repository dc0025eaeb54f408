"""The sections of the settings, one frozen dataclass each."""

from .app import App
from .database import Database, PoolerMode, SslMode
from .email import Adapter, Email, Security
from .jwt import Jwt
from .later import Ai, Csrf, Payment
from .log import Log, LogFormat
from .oidc import Oidc
from .rate_limit import RateLimit
from .redis import Redis
from .server import EventLoop, Server
from .session import Session
from .telemetry import Telemetry
from .websocket import WebSocket
from .worker import Worker

__all__ = [
    "Adapter",
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
    "Security",
    "Server",
    "Session",
    "SslMode",
    "Telemetry",
    "WebSocket",
    "Worker",
]
