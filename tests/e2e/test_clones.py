"""Two clones run side by side on one host without editing a file, and each is removed without a trace."""

from __future__ import annotations

import pytest

from tests.e2e.project import copy_project
from tests.e2e.stack import Stack, left_of, running

pytestmark = [pytest.mark.docker, pytest.mark.xdist_group("stack"), pytest.mark.timeout(300)]

NOTHING: dict[str, list[str]] = {"containers": [], "networks": [], "volumes": []}


def tables(stack: Stack) -> str:
    return stack.sql("SELECT count(*) FROM pg_tables WHERE tablename = 'only_here'")


def password(stack: Stack) -> str:
    return (stack.folder / ".local/secrets/database_password").read_text()


def test_second_clone_is_a_world_of_its_own(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> None:
    with running(copy_project(tmp_path_factory.mktemp("second") / "plinth")) as second:
        second.sql("CREATE TABLE only_here ()")

        assert stack.folder.name == second.folder.name, "clones have the same name more often than not"
        assert [clone.get("/health/ready").status_code for clone in (stack, second)] == [200, 200]
        assert [tables(stack), tables(second)] == ["0", "1"]
        assert password(stack) != password(second)

    assert left_of(second.project) == NOTHING
    assert stack.get("/health/ready").status_code == 200


def test_down_keeps_the_data_and_up_finds_it_again(tmp_path_factory: pytest.TempPathFactory) -> None:
    with running(copy_project(tmp_path_factory.mktemp("third") / "plinth")) as third:
        third.sql("CREATE TABLE only_here ()")
        third.compose("down")
        left = left_of(third.project)
        third.compose("up", "--wait")

        assert left == {**NOTHING, "volumes": [f"{third.project}_postgres"]}
        assert tables(third) == "1"
