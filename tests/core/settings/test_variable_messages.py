"""Variables that look like settings and are none. Each case asserts the whole message that a person reads."""

from __future__ import annotations

import pytest

from tests.core.settings.project import Project, dotenv, env, put, said

ENVIRONMENTS = "one of development, testing, production"
UNREAD = "nothing reads a variable of this name"

CASES = {
    "an environment that is nearly one": (
        env(APP_ENV="prod"),
        said("APP_ENV", "'prod' is no environment", "environment (APP_ENV)", ENVIRONMENTS, "production"),
    ),
    "an environment in capitals": (
        env(APP_ENV="Production"),
        said("APP_ENV", "'Production' is no environment", "environment (APP_ENV)", ENVIRONMENTS, "production"),
    ),
    "an environment that is none": (
        env(APP_ENV="xyz"),
        said("APP_ENV", "'xyz' is no environment", "environment (APP_ENV)", ENVIRONMENTS),
    ),
    "an empty environment": (
        env(APP_ENV=""),
        said("APP_ENV", "'' is no environment", "environment (APP_ENV)", ENVIRONMENTS),
    ),
    "a misspelled key": (
        env(APP_DATABASE__POOLMAX="20"),
        said("APP_DATABASE__POOLMAX", UNREAD, "environment", "", "APP_DATABASE__POOL_MAX"),
    ),
    "a misspelled section": (
        env(APP_DATABSE__POOL_MAX="20"),
        said("APP_DATABSE__POOL_MAX", UNREAD, "environment", "", "APP_DATABASE__POOL_MAX"),
    ),
    "two underscores after APP": (
        env(APP__DATABASE__HOST="h"),
        said("APP__DATABASE__HOST", UNREAD, "environment", "", "APP_DATABASE__HOST"),
    ),
    "one underscore between section and key": (
        env(APP_DATABASE_HOST="h"),
        said("APP_DATABASE_HOST", UNREAD, "environment", "", "APP_DATABASE__HOST"),
    ),
    "no section": (
        env(APP_PORT="9000"),
        said("APP_PORT", UNREAD, "environment", "", "APP_SERVER__PORT"),
    ),
    "no underscore after APP": (
        env(APPDATABASE__HOST="h"),
        said("APPDATABASE__HOST", UNREAD, "environment", "", "APP_DATABASE__HOST"),
    ),
    "lower case": (
        env(app_database__host="h"),
        said("app_database__host", UNREAD, "environment", "", "APP_DATABASE__HOST"),
    ),
    "three levels": (
        env(APP_DATABASE__POOL__MAX="20"),
        said("APP_DATABASE__POOL__MAX", UNREAD, "environment", "", "APP_DATABASE__POOL_MAX"),
    ),
    "a merge marker": (
        env(APP_DATABASE__dynaconf_merge="true"),
        said("APP_DATABASE__dynaconf_merge", UNREAD, "environment", "", "APP_DATABASE__NAME"),
    ),
    "nothing like any key": (
        env(APP_QQQQ="1"),
        said("APP_QQQQ", UNREAD, "environment"),
    ),
    "a misspelled key in .env": (
        dotenv("APP_SERVER__PROT=1\n"),
        said("APP_SERVER__PROT", UNREAD, ".env", "", "APP_SERVER__PORT"),
    ),
    "a switch of Dynaconf": (
        env(MERGE_ENABLED_FOR_DYNACONF="true"),
        said(
            "MERGE_ENABLED_FOR_DYNACONF",
            "this would change how the settings files themselves are read; unset it",
            "environment",
        ),
    ),
    "a _FILE for no key": (
        env(APP_DATABASE__PASSWRD_FILE="/x"),
        said("APP_DATABASE__PASSWRD_FILE", UNREAD, "environment", "", "APP_DATABASE__PASSWORD"),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_variable_that_nothing_reads_is_explained(project: Project, name: str) -> None:
    given, message = CASES[name]
    put(project, given)

    page = project.complaint(*given.options, **given.env)

    assert page == f"The settings have 1 fault, so nothing was started.\n\n{message}"
