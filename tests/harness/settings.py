"""Settings for tests: the project's own file and defaults, and nothing of the machine they run on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from app.core.settings import PROJECT_ROOT, Settings, load_settings

# What production demands besides the password of the database.
SECRETS = {
    "APP_JWT__SECRET": "made-up-for-tests-and-long-enough",
    "APP_SESSION__SECRET": "another-one-that-is-long-enough!",
}


@dataclass(frozen=True)
class TestSettings:
    """Call it for a `Settings`: `settings("database.pool_max=3", "log.format=json")`."""

    __test__ = False  # pytest would take it for a class of tests

    root: Path
    environ: Mapping[str, str]

    def __call__(self, *overrides: str) -> Settings:
        return load_settings(
            root=self.root, environ=self.environ, overrides=overrides, secrets_folder=self.root / "secrets"
        )


def make_settings(root: Path, *, database_url: str, redis_url: str, engine: str = "hypercorn") -> TestSettings:
    """Prepare `root` as a project folder without .env and settings.local.toml, which are a person's own."""
    shared = root / "settings.toml"
    if not shared.exists():
        shared.symlink_to(PROJECT_ROOT / "settings.toml")
    environ = {
        "APP_ENV": "testing",
        "APP_DATABASE__URL": database_url,
        "APP_DATABASE__SSLMODE": "disable",
        "APP_REDIS__URL": redis_url,
        "APP_SERVER__ENGINE": engine,
    }
    return TestSettings(root, environ)
