"""Two clones run side by side on one host without editing a file, and each is removed without a trace."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.project import copy_project
from tests.e2e.stack import Stack, left_of, running

pytestmark = [pytest.mark.docker, pytest.mark.xdist_group("stack"), pytest.mark.timeout(1500)]

NOTHING: dict[str, list[str]] = {"containers": [], "networks": [], "volumes": []}


@pytest.fixture(scope="module")
def second(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Another clone's stack beside the first; its end leaves nothing behind, and the first as it was."""
    with running(copy_project(tmp_path_factory.mktemp("second") / "plinth")) as second:
        yield second
    assert left_of(second.project) == NOTHING
    assert stack.get("/health/ready").status_code == 200


def tables(stack: Stack, name: str) -> str:
    return stack.sql(f"SELECT count(*) FROM pg_tables WHERE tablename = '{name}'")  # noqa: S608  (our own names)


def password(stack: Stack) -> str:
    return (stack.folder / ".local/secrets/database_password").read_text()


def test_second_clone_is_a_world_of_its_own(stack: Stack, second: Stack) -> None:
    second.sql("CREATE TABLE only_here ()")

    assert stack.folder.name == second.folder.name, "clones have the same name more often than not"
    assert [clone.get("/health/ready").status_code for clone in (stack, second)] == [200, 200]
    assert [tables(stack, "only_here"), tables(second, "only_here")] == ["0", "1"]
    assert password(stack) != password(second)


def test_down_keeps_the_data_and_up_finds_it_again(second: Stack) -> None:
    second.sql("CREATE TABLE kept ()")

    second.compose("down")
    left = left_of(second.project)
    second.compose("up", "--wait")

    assert left == {**NOTHING, "volumes": [f"{second.project}_postgres"]}
    assert tables(second, "kept") == "1"
