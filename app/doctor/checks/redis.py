"""Redis: whether it answers, lets us in and can keep what it is given."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from app.doctor.embedded import redis_is_chosen
from app.doctor.finding import Finding, failed, ok, skipped, warning
from app.doctor.once import resolve
from app.doctor.patient import Patient

PATIENCE = 2.0  # seconds
OLDEST = (6, 2)


async def redis(patient: Patient) -> Finding:
    """The service lives without Redis, so silence is a warning; a refusal is a mistake in the settings."""
    if patient.settings is None:
        return skipped("redis", "the settings have faults")
    url = patient.settings.redis.url
    where = re.sub(r"//[^/@]*@", "//", str(url))

    from redis import exceptions  # noqa: PLC0415 - a missing package is this check's fault only

    try:
        await _reach(url.reveal())
        return _state(patient, where, await _info(url.reveal()))
    except exceptions.AuthenticationError:
        seen = f"Redis at {where} refuses the password of redis.url"
        return failed("redis", seen, f"{patient.program} config show   # where redis.url comes from")
    except (exceptions.InvalidResponse, exceptions.ResponseError) as error:
        seen = f"what answers at {where} is not a usable Redis ({error})"
        return failed("redis", seen, f"{patient.program} config show   # where redis.url comes from")
    except (exceptions.RedisError, OSError) as error:
        return _silent(patient, where, error)


async def _reach(url: str) -> None:
    """Look the name up first: the client's own look-up can't be broken off."""
    host = urlsplit(url).hostname
    if host:
        async with asyncio.timeout(PATIENCE):
            await resolve(host)


async def _info(url: str) -> dict[str, Any]:
    from redis.asyncio import Redis  # noqa: PLC0415 - as above
    from redis.asyncio.retry import Retry  # noqa: PLC0415
    from redis.backoff import NoBackoff  # noqa: PLC0415

    client = Redis.from_url(
        url, socket_timeout=PATIENCE, socket_connect_timeout=PATIENCE, retry=Retry(NoBackoff(), 0), protocol=2
    )
    async with client:
        await client.ping()
        return dict(await client.info())


def _silent(patient: Patient, where: str, error: Exception) -> Finding:
    if patient.settings is not None and not redis_is_chosen(patient.settings):
        return ok("redis", f"nothing answers at {where}, and nothing has to: make run and make up bring their own")
    seen = f"no Redis answers at {where} ({_reason(error)}): the service runs without, and says so"
    return warning("redis", seen, _another(patient))


def _another(patient: Patient) -> str:
    if patient.checkout:
        return "docker compose up --detach redis   # or make run, which brings one of its own"
    return f"{patient.program} config show   # where redis.url comes from"


def _reason(error: BaseException) -> str:
    """The client wraps what the system said into a sentence with the address in it, twice."""
    while isinstance(error.__context__, OSError):
        error = error.__context__
    if isinstance(error, ConnectionRefusedError):
        return "nothing listens"
    if isinstance(error, TimeoutError):
        return f"no answer within {PATIENCE:g} s"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _state(patient: Patient, where: str, info: Mapping[str, Any]) -> Finding:
    version = str(info.get("redis_version", "0"))
    if tuple(map(int, re.findall(r"\d+", version)[:2])) < OLDEST:
        wanted = ".".join(map(str, OLDEST))
        return warning("redis", f"Redis {version} at {where} is older than {wanted}", _another(patient))
    if "err" in (info.get("rdb_last_bgsave_status"), info.get("aof_last_write_status")):
        seen = f"Redis {version} at {where} can't write its data to disk and refuses every write"
        return failed("redis", seen, "df -h   # then: redis-cli BGSAVE")
    if info.get("role") == "slave":
        return failed(
            "redis",
            f"Redis {version} at {where} is a replica: it takes no writes",
            "redis-cli ROLE   # names the primary",
        )
    return ok("redis", f"Redis {version} at {where} answers and takes writes; it {_keeps(info)}")


def _keeps(info: Mapping[str, Any]) -> str:
    return "keeps an append-only file" if info.get("aof_enabled") else "may lose what it holds when it stops"
