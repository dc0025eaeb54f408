"""What can go wrong between the application and PostgreSQL; a docstring or message is the sentence a person reads."""

from __future__ import annotations


class DatabaseUnavailable(Exception):
    """PostgreSQL cannot be used, so the application cannot start."""


class WrongPassword(DatabaseUnavailable):
    """PostgreSQL refuses this user or password."""


class UnknownDatabase(DatabaseUnavailable):
    """The server has no database of this name."""


class TlsRefused(DatabaseUnavailable):
    """No TLS connection that satisfies `database.sslmode`."""


class UnsupportedServer(Exception):
    """The server is older than PostgreSQL 18."""


class ConnectionTrouble(Exception):
    """The database did not answer; what was asked may or may not have happened.

    The driver's own error is the `__cause__`. Not a `TimeoutError`: a caller's deadline must not be mistaken for it.
    """


class AcquireTimeout(ConnectionTrouble):
    """No connection of the pool became free in time; nothing was sent."""


class QueryTimeout(ConnectionTrouble):
    """The server did not answer within `database.command_timeout`."""


class RowNotFound(LookupError):
    """A row that had to be there is not."""


class StatementError(Exception):
    """A statement, or what it was given, is wrong: a mistake in the program."""


class TransactionRolledBack(RuntimeError):
    """Nothing of this transaction was stored.

    A query in it failed and the error was caught inside, without a transaction (a savepoint) around that query.
    """


class NoTransaction(RuntimeError):
    """This needs an open transaction of the task that asks: do it inside `async with db.transaction()`.

    What is asked for is to exist exactly when the transaction that needs it commits.
    """


class TransactionNotInherited(RuntimeError):
    """A child task used the database while its parent's transaction was open.

    The child has a connection of its own, so its query would silently run outside that transaction. Await the
    query in the parent's task (`asyncio.timeout` for a deadline), start the child after the commit, or say
    `async with db.detached()` where running outside is meant.
    """
