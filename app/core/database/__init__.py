"""PostgreSQL through `databases` and asyncpg: the pool, its transactions, statements and errors."""

from __future__ import annotations

from app.core.database.check import check_statement
from app.core.database.connection import Connection
from app.core.database.database import Database
from app.core.database.errors import (
    AcquireTimeout,
    ConnectionTrouble,
    DatabaseUnavailable,
    NoTransaction,
    QueryTimeout,
    RowNotFound,
    StatementError,
    TlsRefused,
    TransactionNotInherited,
    TransactionRolledBack,
    UnknownDatabase,
    UnsupportedServer,
    WrongPassword,
)
from app.core.database.health import DatabaseCheck, database_probe
from app.core.database.notices import Notices, listen
from app.core.database.opening import open_database
from app.core.database.rows import Row
from app.core.database.schema import TIMESTAMP, created_at, id_column, metadata, updated_at
from app.core.database.statement import Statement, statements
from app.core.database.stats import DatabaseObserver, PoolStats
from app.core.database.transaction import Transaction
from app.core.database.translate import translate

__all__ = [
    "TIMESTAMP",
    "AcquireTimeout",
    "Connection",
    "ConnectionTrouble",
    "Database",
    "DatabaseCheck",
    "DatabaseObserver",
    "DatabaseUnavailable",
    "NoTransaction",
    "Notices",
    "PoolStats",
    "QueryTimeout",
    "Row",
    "RowNotFound",
    "Statement",
    "StatementError",
    "TlsRefused",
    "Transaction",
    "TransactionNotInherited",
    "TransactionRolledBack",
    "UnknownDatabase",
    "UnsupportedServer",
    "WrongPassword",
    "check_statement",
    "created_at",
    "database_probe",
    "id_column",
    "listen",
    "metadata",
    "open_database",
    "statements",
    "translate",
    "updated_at",
]
