"""A feature is used by its front door only: whoever imports an inner file of another ties both together."""

from __future__ import annotations

import grimp
import pytest

from app.core.settings import PROJECT_ROOT

FEATURES = "app.features."


def back_doors(imports: set[tuple[str, str]]) -> list[str]:
    """The imports that reach behind the `__init__` of a feature from outside of it."""
    return sorted(f"{importer} -> {imported}" for importer, imported in imports if _is_back_door(importer, imported))


def _is_back_door(importer: str, imported: str) -> bool:
    feature, _, inside = imported.removeprefix(FEATURES).partition(".")
    home = FEATURES + feature
    return imported.startswith(FEATURES) and bool(inside) and importer != home and not importer.startswith(f"{home}.")


def test_no_module_reaches_behind_a_front_door() -> None:
    graph = grimp.build_graph("app", cache_dir=str(PROJECT_ROOT / ".import_linter_cache"))
    imports = {(each, to) for each in graph.modules for to in graph.find_modules_directly_imported_by(each)}

    assert len(imports) > 100, "the graph was read"
    assert back_doors(imports) == []


@pytest.mark.parametrize(
    ("importer", "imported", "refused"),
    [
        ("app.features.memberships.service", "app.features.identity", False),
        ("app.features.memberships.service", "app.features.identity.repository", True),
        ("app.features.identity.service", "app.features.identity.repository", False),
        ("app.features.identity", "app.features.identity.routes", False),
        ("app.bootstrap", "app.features.identity.tables", True),
        ("app.features.identity.routes", "app.web.errors", False),
    ],
)
def test_the_check_tells_them_apart(importer: str, imported: str, refused: bool) -> None:
    assert bool(back_doors({(importer, imported)})) is refused
