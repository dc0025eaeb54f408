"""The kinds of value a setting can be; each reads text strictly and TOML exactly, and guesses at nothing."""

from .choices import Choice, Flag
from .database_url import DatabaseUrl
from .http_url import HttpUrl
from .kind import Kind
from .log_levels import LogLevels
from .networks import Network, Networks
from .numbers import Seconds, Share, WholeNumber
from .origins import Origins
from .redis_url import RedisUrl
from .secrets import OptionalSecret, SecretText
from .text import Host, Identifier, Line, Name

__all__ = [
    "Choice",
    "DatabaseUrl",
    "Flag",
    "Host",
    "HttpUrl",
    "Identifier",
    "Kind",
    "Line",
    "LogLevels",
    "Name",
    "Network",
    "Networks",
    "OptionalSecret",
    "Origins",
    "RedisUrl",
    "Seconds",
    "SecretText",
    "Share",
    "WholeNumber",
]
