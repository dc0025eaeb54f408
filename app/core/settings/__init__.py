"""Settings: seven layers read once at start into frozen, typed sections, every fault reported together."""

from .command_line import Override
from .environment import Environment
from .faults import Fault, SettingsError
from .load import PROJECT_ROOT, load_settings
from .model import Settings
from .secret import Secret, SecretUrl
from .sections import EventLoop, LogFormat, PoolerMode, SslMode

__all__ = [
    "PROJECT_ROOT",
    "Environment",
    "EventLoop",
    "Fault",
    "LogFormat",
    "Override",
    "PoolerMode",
    "Secret",
    "SecretUrl",
    "Settings",
    "SettingsError",
    "SslMode",
    "load_settings",
]
