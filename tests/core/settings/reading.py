"""Finds which settings a source file reads, from its syntax alone."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from app.core.settings.declarations import SECTIONS

# `settings.log.json` is the way in which log.format is read.
PROPERTIES = {"log.json": "log.format"}
CLASSES = {declaration.__name__: section for section, declaration in SECTIONS.items()}


def keys_read(source: str) -> set[str]:
    """The `section.key` pairs that the source takes an attribute of."""
    tree = ast.parse(source)
    sections = {**dict(zip(SECTIONS, SECTIONS, strict=True)), **_annotated(tree)}
    return {PROPERTIES.get(key, key) for key in _attributes(tree, sections)}


def _attributes(tree: ast.Module, sections: dict[str, str]) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
            section = sections.get(_last_name(node.value))
            if section:
                yield f"{section}.{node.attr}"


def _last_name(node: ast.expr) -> str:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case _:
            return ""


def _annotated(tree: ast.Module) -> dict[str, str]:
    """Names that the module annotates with the class of a section: arguments, variables and fields."""
    imported = _imported(tree)
    found: dict[str, str] = {}
    for node in ast.walk(tree):
        match node:
            case ast.arg(arg=name, annotation=ast.Name(id=kind)) if kind in imported:
                found[name] = imported[kind]
            case ast.AnnAssign(target=ast.Name(id=name) | ast.Attribute(attr=name), annotation=ast.Name(id=kind)) if (
                kind in imported
            ):
                found[name] = imported[kind]
    return found


def _imported(tree: ast.Module) -> dict[str, str]:
    return {
        alias.asname or alias.name: CLASSES[alias.name]
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "app.core.settings.sections"
        for alias in node.names
        if alias.name in CLASSES
    }
