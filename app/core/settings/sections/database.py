"""Section `database`: PostgreSQL, its pool and its migrations."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from app.core.settings import declare
from app.core.settings.secret import Secret


class SslMode(StrEnum):
    """How the connection is encrypted and the server's certificate checked, as libpq names it."""

    DISABLE = "disable"
    PREFER = "prefer"
    REQUIRE = "require"
    VERIFY_CA = "verify-ca"
    VERIFY_FULL = "verify-full"


class PoolerMode(StrEnum):
    """What stands between the pool and PostgreSQL."""

    SESSION = "session"
    TRANSACTION = "transaction"


@dataclass(frozen=True, slots=True, kw_only=True)
class Database:
    """PostgreSQL: how it is reached, how its pool behaves, how migrations run."""

    host: str = declare.host("127.0.0.1", "Host of PostgreSQL, or the folder of its Unix socket.", sockets=True)
    port: int = declare.whole(5432, 1, 65535, "Port of PostgreSQL.")
    name: str = declare.identifier("plinth", "Database to connect to.")
    user: str = declare.identifier("plinth", "Role to connect as.")
    password: Secret = declare.secret("Password of the role.")
    sslmode: SslMode = declare.choice(
        SslMode.PREFER, "Encryption of the connection: verify-full also checks the server's certificate and name."
    )
    pool_min: int = declare.whole(2, 0, 1000, "Connections kept open when nothing happens.")
    pool_max: int = declare.whole(
        10, 1, 1000, "Most connections one process opens; more work than that waits its turn."
    )
    connect_timeout: float = declare.seconds(5.0, 0.1, 300, "How long opening one connection may take.")
    acquire_timeout: float = declare.seconds(
        5.0, 0.05, 300, "How long a request waits for a free connection before it is answered with 503."
    )
    command_timeout: float = declare.seconds(
        10.0, 0.1, 3600, "How long the client waits for a statement, also when the server no longer answers."
    )
    statement_timeout: float = declare.seconds(10.0, 0.1, 3600, "PostgreSQL ends a statement that runs longer.")
    lock_timeout: float = declare.seconds(5.0, 0.1, 3600, "PostgreSQL ends a statement that waits longer for a lock.")
    idle_in_transaction_timeout: float = declare.seconds(
        30.0, 0.1, 3600, "PostgreSQL ends a connection whose transaction is left open longer."
    )
    idle_timeout: float = declare.seconds(
        300.0, 0, 86400, "A connection unused for longer is closed, down to `database.pool_min`; 0 keeps all."
    )
    start_timeout: float = declare.seconds(
        30.0, 0, 3600, "How long the start retries a database that does not answer before it exits with 3."
    )
    health_interval: float = declare.seconds(0.5, 0.05, 300, "Time between two probes of the database.")
    health_timeout: float = declare.seconds(1.0, 0.05, 300, "A probe that takes longer turns readiness to 503.")
    pooler_mode: PoolerMode = declare.choice(
        PoolerMode.SESSION, "Set to transaction behind a pooler such as PgBouncer: named statements are then off."
    )
    migrate_at_start: bool = declare.flag(
        False,
        "Apply pending migrations when the server starts; refused in production.",
    )
    migration_wait: float = declare.seconds(
        300.0, 0, 86400, "How long a migrator waits while another one holds the migration lock."
    )
    migration_lock_timeout: float = declare.seconds(
        3.0, 0.1, 3600, "A migration that waits longer for a table lock is ended, so that traffic behind it flows."
    )
    migration_statement_timeout: float = declare.seconds(
        900.0, 0.1, 86400, "A statement of a migration that runs longer is ended."
    )
