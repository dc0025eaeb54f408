"""Connection URLs: read into their parts, and refused rather than half understood."""

from __future__ import annotations

import pytest

from tests.core.settings.project import Project

DATABASE = {
    "everything": (
        "postgresql://me:p%40ss%3A%2F@db.internal:5433/shop?sslmode=verify-full",
        ("db.internal", 5433, "shop", "me", "p@ss:/", "verify-full"),
    ),
    "the short scheme": ("postgres://me:p@db/shop", ("db", 5432, "shop", "me", "p", "prefer")),
    "the scheme of SQLAlchemy": ("postgresql+asyncpg://me:p@db/shop", ("db", 5432, "shop", "me", "p", "prefer")),
    "the host alone": ("postgresql://:p@db", ("db", 5432, "plinth", "plinth", "p", "prefer")),
    "an IPv6 address": ("postgresql://me:p@[::1]:5433/shop", ("::1", 5433, "shop", "me", "p", "prefer")),
    "a socket": (
        "postgresql://me:p@/shop?host=/var/run/PG",
        ("/var/run/PG", 5432, "shop", "me", "p", "prefer"),
    ),
    "a socket in the place of the host": (
        "postgresql://me:p@%2Fvar%2Frun%2FPG/shop",
        ("/var/run/PG", 5432, "shop", "me", "p", "prefer"),
    ),
    "a socket with a port": (
        "postgresql:///shop?host=/run&port=5433&sslmode=disable",
        ("/run", 5433, "shop", "plinth", "generated", "disable"),
    ),
    "a name with spaces": ("postgresql://me:p@db/my%20shop", ("db", 5432, "my shop", "me", "p", "prefer")),
}


@pytest.mark.parametrize("name", DATABASE)
def test_a_database_url_is_read_into_its_parts(project: Project, name: str) -> None:
    url, expected = DATABASE[name]
    project.write(".local/secrets/database_password", "generated")

    database = project.load(DATABASE_URL=url).database

    password = database.password.reveal()
    assert (database.host, database.port, database.name, database.user, password, database.sslmode) == expected


def test_only_the_parts_in_the_url_are_set(project: Project) -> None:
    project.write("settings.toml", "[default.database]\nhost = 'weak'\nport = 1\nuser = 'weak'\nsslmode = 'require'\n")

    settings = project.load(DATABASE_URL="postgresql://strong/shop", DB_PASSWORD="p")

    database = settings.database
    assert (database.host, database.name, database.user, database.sslmode) == ("strong", "shop", "weak", "require")
    assert database.port == 5432  # not the port of another host
    assert settings.origins["database.host"] == "environment (DATABASE_URL)"
    assert settings.origins["database.user"] == "settings.toml [default]"


def test_a_stronger_layer_replaces_a_part_of_the_url(project: Project) -> None:
    project.write(".env", "DATABASE_URL=postgresql://me:weak@db/shop\n")
    project.mount("database_password", "strong")

    database = project.load(DB_HOST="other").database

    assert (database.host, database.user, database.password.reveal()) == ("other", "me", "strong")


def test_a_part_that_is_not_in_the_url_may_stand_beside_it(project: Project) -> None:
    database = project.load(DATABASE_URL="postgresql://me@db/shop", DB_PASSWORD="p", DB_SSL="true").database

    assert (database.user, database.password.reveal(), database.sslmode) == ("me", "p", "require")


def test_a_url_in_a_stronger_layer_replaces_parts(project: Project) -> None:
    project.write(".env", "DB_HOST=weak\nDB_NAME=weak\n")

    database = project.load(DATABASE_URL="postgresql://me:p@db/shop").database

    assert (database.host, database.name) == ("db", "shop")


BAD_DATABASE = {
    "hunter2": "this is not a URL",
    "db:5432/shop": "this is not a URL",
    "mysql://db/shop": "the scheme 'mysql' of the URL is not known here",
    "postgresql+psycopg://db/shop": "the scheme 'postgresql+psycopg' of the URL is not known here",
    "postgresql://me:p@db/shop?ssl=true": "the option 'ssl' in the URL is not known here",
    "postgresql://db/shop?min_size=5": "the option 'min_size' in the URL is not known here",
    "postgresql://db/shop?connect_timeout=5": "the option 'connect_timeout' in the URL is not known here",
    "postgresql://db/shop?sslmode": "the option 'sslmode' in the URL has no value",
    "postgresql://db/shop?sslmode=": "the option 'sslmode' in the URL has no value",
    "postgresql://db/shop?sslmode=require&sslmode=disable": "the option 'sslmode' in the URL is given twice",
    "postgresql://db/shop?host=/run": "the URL names the host or the port twice",
    "postgresql://db:1/shop?port=2": "the URL names the host or the port twice",
    "postgresql://db:hunter2/shop": "the port in the URL is not a number from 1 to 65535",
    "postgresql://db:0/shop": "the port in the URL is not a number from 1 to 65535",
    "postgresql://db:65536/shop": "the port in the URL is not a number from 1 to 65535",
    "postgresql://db:/shop": "the port in the URL is not a number from 1 to 65535",
    "postgresql://db:\u0665/shop": "the port in the URL is not a number from 1 to 65535",
    "postgresql:///shop?host=/run&port=x": "the port in the URL is not a number from 1 to 65535",
    "postgresql://one,two/shop": "the URL names several hosts, and one is expected",
    "postgresql://db/shop/more": "the URL has more than one name after the host",
    "postgresql://me:@db/shop": "the password in the URL is empty; leave the ':' before the '@' out",
    "postgresql://me:hun@ter2@db/shop": "a special character in the URL (one of : / ? # @ %) must be percent-encoded",
    "postgresql://me:hun/ter2@db/shop": "a special character in the URL (one of : / ? # @ %) must be percent-encoded",
    "postgresql://me:hun?ter2@db/shop": "a special character in the URL (one of : / ? # @ %) must be percent-encoded",
    "postgresql://me:hun#ter2@db/shop": "a special character in the URL (one of : / ? # @ %) must be percent-encoded",
    "postgresql://me:hunter2@db/shop\n": "the URL holds a space or a control character",
    "postgresql://me:hun ter2@db/shop": "the URL holds a space or a control character",
    "postgresql://me:%ff@db/shop": "the URL holds percent-encoded bytes that are not UTF-8",
    "postgresql://me:a%00b@db/shop": "the URL holds a NUL character",
}


@pytest.mark.parametrize("url", BAD_DATABASE)
def test_a_bad_database_url_is_explained_without_repeating_it(project: Project, url: str) -> None:
    page = project.complaint(DATABASE_URL=url)

    key, wrong, source = page.splitlines()[2:5]
    assert (key, wrong) == ("database.url", f"  wrong     {BAD_DATABASE[url]}")
    assert source == "  from      environment (DATABASE_URL)"
    assert not any(piece in page for piece in ("hunter2", "ter2", "hun "))


def test_a_bad_part_of_the_url_is_named_without_repeating_it(project: Project) -> None:
    page = project.complaint(DATABASE_URL="postgresql://me:p@hun_ter2!/shop?sslmode=allow")

    assert "database.host\n  wrong     the host in the URL can't be used\n" in page
    assert "database.sslmode\n  wrong     'allow' is not one of the words\n" in page
    assert "hun" not in page


REDIS = (
    "redis://127.0.0.1:6379/0",
    "redis://cache",
    "rediss://me:p%40ss@cache.internal:6380/15?ssl_cert_reqs=required",
    "redis://:hunter2@[::1]:6379",
    "redis://cache?db=3&protocol=3",
    "unix:///run/redis.sock?db=2",
    "unix://:hunter2@/run/redis.sock",
)


@pytest.mark.parametrize("url", REDIS)
def test_a_redis_url_is_kept_whole(project: Project, url: str) -> None:
    settings = project.load(REDIS_URL=url)

    assert settings.redis.url.reveal() == url
    assert "hunter2" not in str(settings.redis.url)
    assert "ss@" not in str(settings.redis.url)


def test_a_token_in_the_place_of_the_user_is_masked_too(project: Project) -> None:
    assert str(project.load(REDIS_URL="redis://hunter2@cache/0").redis.url) == "redis://**********@cache/0"


BAD_REDIS = {
    "cache:6379": "this is not a URL",
    "http://cache": "the scheme 'http' of the URL is not known here",
    "redis:///0": "the URL names no host",
    "unix://": "the URL names no socket",
    "redis://cache/one": "the database in the URL is not a number",
    "redis://cache/-1": "the database in the URL is not a number",
    "redis://cache/0?db=1": "the URL names the database twice",
    "redis://cache?socket_timeout=5": "the option 'socket_timeout' in the URL is not known here",
    "redis://cache:port": "the port in the URL is not a number from 1 to 65535",
}


@pytest.mark.parametrize("url", BAD_REDIS)
def test_a_bad_redis_url_is_explained(project: Project, url: str) -> None:
    page = project.complaint(REDIS_URL=url)

    assert page.splitlines()[2:5] == [
        "redis.url",
        f"  wrong     {BAD_REDIS[url]}",
        "  from      environment (REDIS_URL)",
    ]


@pytest.mark.parametrize("url", REDIS)
def test_redis_itself_understands_what_is_accepted(url: str) -> None:
    from redis.asyncio.connection import parse_url  # noqa: PLC0415 - only this test needs the client

    assert parse_url(url)
