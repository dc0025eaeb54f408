"""Writes what was measured into the page, the picture and the figures file: `python -m bench.report`.

Of each part the newest figures count: those of `.local/bench/figures`, else what docs/benchmarks.json has of an earlier
run. What stands between the two marks in docs/benchmarks.md is written here, everything around them by hand.
"""

from __future__ import annotations

import sys
from pathlib import Path

from app.core.settings import PROJECT_ROOT
from bench.figures import dumped, kept, loaded
from bench.overview import overview, sentence
from bench.page import generated, replaced
from bench.parts import PARTS
from bench.picture import picture
from bench.targets import Parts

DOCS = PROJECT_ROOT / "docs"
PAGE, FIGURES, PICTURE = (DOCS / f"benchmarks.{suffix}" for suffix in ("md", "json", "svg"))


def known(figures: Path = FIGURES) -> Parts:
    """Of each part what was found last, in the order of the parts."""
    found = {**(loaded(figures.read_text()) if figures.exists() else {}), **kept()}
    return {name: found[name] for name in PARTS if name in found}


def write(parts: Parts) -> None:
    FIGURES.write_text(dumped(parts.values()))
    PICTURE.write_text(picture(parts))
    PAGE.write_text(replaced(PAGE.read_text(), generated(parts)))


def main() -> None:
    """Write them, and print the overview."""
    parts = known()
    if not parts:
        sys.exit("Nothing was measured yet: `make bench`.")
    write(parts)
    written = ", ".join(str(path.relative_to(PROJECT_ROOT)) for path in (PAGE, PICTURE, FIGURES))
    print(f"\n{overview(parts).text()}\n\n{sentence(parts)} Written: {written}")  # noqa: T201  (a program's output)


if __name__ == "__main__":
    main()
