"""Canary secrets everywhere, trouble everywhere: none of them is told."""

from __future__ import annotations

from app.doctor import as_json, as_text, examine
from app.embedded import PostgresServer, RedisServer
from tests.doctor.project import Project

CANARIES = ("canary-database-1", "canary-redis-2", "canary-file-3", "canary-faulty-4")


async def test_no_secret_is_told(project: Project, own_postgres: PostgresServer, own_redis: RedisServer) -> None:
    project.write(".env", f"DB_PASSWORD={CANARIES[2]}\n")
    project.environ.update(
        DATABASE_URL=f"postgresql://plinth:{CANARIES[0]}@127.0.0.1:{own_postgres.port}/plinth",
        REDIS_URL=f"redis://:{CANARIES[1]}@127.0.0.1:{own_redis.port}/0",
    )

    findings = await examine(project.patient())

    assert {finding.check for finding in findings if finding.status == "failed"} >= {"database", "redis"}
    told = as_text(findings, seconds=0, width=200) + as_json(findings, seconds=0)
    assert not [canary for canary in CANARIES if canary in told]


async def test_no_secret_is_told_about_settings_with_faults(project: Project) -> None:
    project.environ.update(REDIS_URL=f"http://:{CANARIES[3]}@127.0.0.1/0", DB_PORT="many")

    findings = await examine(project.patient())

    assert findings[0].status == "failed"
    assert CANARIES[3] not in as_text(findings, seconds=0, width=200)
