"""Checks that need more than one key: values that are sound alone and wrong together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from app.core.protected import is_protected

from .environment import Environment
from .faults import Fault
from .resolve import Value
from .sections.email import Adapter


@dataclass(frozen=True, slots=True)
class AtMost:
    """`key` may not exceed `limit`, because the part above would never be used."""

    key: str
    limit: str
    why: str


ORDER = (
    AtMost("database.pool_min", "database.pool_max", "a pool can't keep more connections than it may open"),
    AtMost("database.lock_timeout", "database.statement_timeout", "the statement would be ended first"),
    AtMost(
        "database.migration_lock_timeout",
        "database.migration_statement_timeout",
        "the statement would be ended first",
    ),
    AtMost("websocket.heartbeat_interval", "websocket.heartbeat_timeout", "a peer would be dropped before it is asked"),
    AtMost("session.idle_timeout", "session.absolute_timeout", "every session would be over before it is idle"),
    AtMost("jwt.access_lifetime", "jwt.refresh_lifetime", "an access token would hold longer than its sign-in"),
    AtMost("worker.retry_delay", "worker.retry_delay_max", "the first wait would be longer than the longest"),
    AtMost("worker.keep_events", "worker.keep_processed", "an event could come again after it was forgotten"),
    AtMost("worker.keep_dead", "worker.keep_processed", "a delivery could be retried after its event was forgotten"),
)


def check_together(values: Mapping[str, Value], spoiled: frozenset[str], environment: Environment) -> Iterator[Fault]:
    """The faults between keys; a key that is already faulty is left out."""
    for rule in ORDER:
        if not {rule.key, rule.limit} & spoiled and values[rule.key].value > values[rule.limit].value:
            yield _too_much(rule, values[rule.key], values[rule.limit])
    if environment is Environment.PRODUCTION:
        yield from _not_in_production(values, spoiled)
    yield from _half_a_provider(values, spoiled)


def _not_in_production(values: Mapping[str, Value], spoiled: frozenset[str]) -> Iterator[Fault]:
    migrate = values["database.migrate_at_start"]
    if migrate.value and "database.migrate_at_start" not in spoiled:
        yield Fault(
            "database.migrate_at_start",
            migrate.source,
            "production never migrates at start: several servers would, and a failed migration would stop them all",
            "false in production; run `app migrate up` before the servers start",
        )
    adapter = values["email.adapter"]
    if "email.adapter" not in spoiled and adapter.value is Adapter.CONSOLE:
        yield Fault(
            "email.adapter",
            adapter.source,
            "a printed mail holds what sets a new password, and logs are read by many",
            "smtp or off in production",
        )


def _half_a_provider(values: Mapping[str, Value], spoiled: frozenset[str]) -> Iterator[Fault]:
    """Tokens of the same provider for other services would open this one."""
    issuer, audience = values["oidc.issuer"], values["oidc.audience"]
    if issuer.value and not audience.value and not {"oidc.issuer", "oidc.audience"} & spoiled:
        yield Fault(
            "oidc.audience",
            audience.source,
            "oidc.issuer is set, and without an audience its tokens for any other service would be taken",
            "the name under which the provider knows this service",
        )
    if issuer.value and "oidc.issuer" not in spoiled and not is_protected(str(issuer.value)):
        yield Fault(
            "oidc.issuer",
            issuer.source,
            "without TLS anybody on the way could put keys of their own among the provider's",
            "https://, or http:// to this machine itself",
        )


def _too_much(rule: AtMost, value: Value, limit: Value) -> Fault:
    wrong = f"{value.value:g} is more than {rule.limit}, which is {limit.value:g} ({limit.source}): {rule.why}"
    return Fault(rule.key, value.source, wrong, f"at most {limit.value:g}")
