"""What answers where the database should be: real servers, right ones and wrong ones."""

from __future__ import annotations

import os

import asyncpg
import pytest

from app.doctor import Finding, Status
from app.doctor.checks.database import database
from app.doctor.checks.schema import schema
from app.doctor.checks.skew import clock
from app.embedded import PostgresServer, RedisServer
from tests.doctor.project import Project
from tests.doctor.servers import Handler, postgres_of_old, postgres_refusing, saying, serving, silent
from tests.harness.processes import stalled
from tests.harness.services import PASSWORD

pytestmark = pytest.mark.xdist_group("doctor-database")


async def visit(project: Project, port: int, *overrides: str) -> Finding:
    return await project.finding(database, f"database.port={port}", f"database.password={PASSWORD}", *overrides)


async def run(server: PostgresServer, *statements: str) -> None:
    connection = await asyncpg.connect(server.url)
    for statement in statements:
        await connection.execute(statement)
    await connection.close()


async def test_nothing_there_is_no_trouble_until_somebody_asks_for_it(project: Project) -> None:
    finding = await project.finding(database)

    # A developer's own PostgreSQL may sit on the default port: then this is not the place to judge it.
    if finding.status is Status.OK:
        assert (
            finding.seen
            == "nothing listens at 127.0.0.1:5432, and nothing has to: make run and make up bring their own"
        )
    else:
        assert finding.status is Status.WARNING


async def test_nothing_where_the_settings_say(project: Project, own_port: int) -> None:
    finding = await visit(project, own_port)

    assert finding.status is Status.FAILED
    assert finding.seen == f"nothing listens at 127.0.0.1:{own_port}"
    assert finding.remedy.splitlines()[0].startswith("app config show")


async def test_unknown_host(project: Project) -> None:
    finding = await visit(project, 5432, "database.host=db.invalid")

    assert finding.status is Status.FAILED
    assert finding.seen.startswith("the host name db.invalid is unknown")


@pytest.mark.parametrize(
    ("greeting", "what"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "an HTTP server"),
        (b"SSH-2.0-OpenSSH_9.2p1\r\n", "an SSH server"),
        (b"J\0\0\0\x0a8.4.0\0", "MySQL or MariaDB"),
        (b"-ERR unknown command\r\n", "Redis"),
        (b"220 mail ESMTP\r\n", "a mail or FTP server"),
        (b"Segmentation fault", "another program"),
        (b"", "a program that hangs up at once"),
    ],
)
async def test_what_is_not_postgresql_is_recognised(project: Project, greeting: bytes, what: str) -> None:
    async with serving(saying(greeting)) as port:
        finding = await visit(project, port)

    assert finding.status is Status.FAILED
    assert f"is not PostgreSQL but {what}" in finding.seen
    assert f"process {os.getpid()}" in finding.seen


async def test_server_that_says_nothing(project: Project) -> None:
    async with serving(silent) as port:
        finding = await visit(project, port)

    assert finding.status is Status.FAILED
    assert "takes connections and says nothing" in finding.seen


async def test_stopped_postgresql(project: Project, own_postgres: PostgresServer) -> None:
    with stalled(own_postgres.pid):
        finding = await visit(project, own_postgres.port)

    assert finding.status is Status.FAILED
    assert "a stopped PostgreSQL" in finding.seen
    assert f"(postgres, process {own_postgres.pid})" in finding.seen


async def test_redis_in_its_place_is_found_out(project: Project, own_redis: RedisServer) -> None:
    finding = await visit(project, own_redis.port)

    assert finding.status is Status.FAILED
    assert f"redis-server, process {own_redis.pid}" in finding.seen


async def test_older_postgresql(project: Project) -> None:
    async with serving(postgres_of_old("16.4")) as port:
        findings = [
            await project.finding(check, f"database.port={port}", "database.password=any-other")
            for check in (database, schema, clock)
        ]

    assert [finding.status for finding in findings] == [Status.FAILED, Status.SKIPPED, Status.SKIPPED]
    assert findings[0].seen.startswith(f"PostgreSQL 16.4 at 127.0.0.1:{port}")
    assert findings[0].seen.endswith("is not ours: it is older than 18")


async def test_foreign_postgresql_that_knows_neither_password_nor_user(
    project: Project, own_postgres: PostgresServer
) -> None:
    for password, user in (("another-one", "plinth"), (PASSWORD, "nobody-here")):
        project.environ.update(DB_PORT=str(own_postgres.port), DB_PASSWORD=password, DB_USER=user)
        finding = await project.finding(database)

        assert finding.status is Status.FAILED
        assert finding.seen.startswith(f"a PostgreSQL that is not ours is at 127.0.0.1:{own_postgres.port}")
        assert "or knows no such user" in finding.seen


async def test_missing_database(project: Project, own_postgres: PostgresServer) -> None:
    finding = await visit(project, own_postgres.port, "database.name=elsewhere")

    assert finding.status is Status.FAILED
    assert finding.seen.endswith("has no database elsewhere: is it ours?")
    assert finding.remedy == f"createdb -h 127.0.0.1 -p {own_postgres.port} -U plinth elsewhere"


async def test_no_connection_left(project: Project, own_postgres: PostgresServer) -> None:
    await run(
        own_postgres,
        "DROP ROLE IF EXISTS narrow",
        f"CREATE ROLE narrow LOGIN CONNECTION LIMIT 0 PASSWORD '{PASSWORD}'",
    )

    finding = await visit(project, own_postgres.port, "database.user=narrow")

    assert finding.status is Status.FAILED
    assert "has no connection left" in finding.seen


async def test_database_that_takes_no_connections_is_quoted(project: Project, own_postgres: PostgresServer) -> None:
    await run(own_postgres, "DROP DATABASE IF EXISTS closed", "CREATE DATABASE closed ALLOW_CONNECTIONS false")

    finding = await visit(project, own_postgres.port, "database.name=closed")

    assert finding.status is Status.FAILED
    assert 'turns us away: database "closed" is not currently accepting connections' in finding.seen


@pytest.mark.parametrize("server", [postgres_refusing("57P03", "the database system is starting up")], ids=["starting"])
async def test_starting_postgresql_needs_a_moment_only(project: Project, server: Handler) -> None:
    async with serving(server) as port:
        finding = await visit(project, port)

    assert finding.status is Status.WARNING
    assert finding.seen.endswith("is not ready (the database system is starting up)")


async def test_missing_encryption(project: Project, own_postgres: PostgresServer) -> None:
    finding = await visit(project, own_postgres.port, "database.sslmode=require")

    assert finding.status is Status.FAILED
    assert "does not give the encryption that database.sslmode=require asks for" in finding.seen


async def test_database_that_lets_us_in(project: Project, own_postgres: PostgresServer) -> None:
    finding = await visit(project, own_postgres.port)

    assert finding.status is Status.OK
    assert finding.seen.startswith("PostgreSQL 18.")
    assert finding.seen.endswith(f"(postgres, process {own_postgres.pid}) lets us in")
