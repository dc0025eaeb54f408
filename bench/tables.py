"""Shows figures as tables, as text for a terminal and as Markdown for the page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bench.figures import Part, Series, Spread


@dataclass(frozen=True)
class Table:
    """Texts only; the columns of `words` stand to the left, figures to the right."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    words: frozenset[int] = frozenset({0})

    def text(self) -> str:
        """For a terminal: padded, and nothing bold."""
        lines = [[cell.replace("**", "") for cell in line] for line in (self.head, *self.rows)]
        widths = [max(len(line[column]) for line in lines) for column in range(len(self.head))]
        return "\n".join(
            "  ".join(self._padded(cell, column, widths[column]) for column, cell in enumerate(line)).rstrip()
            for line in lines
        )

    def _padded(self, cell: str, column: int, width: int) -> str:
        return cell.ljust(width) if column in self.words else cell.rjust(width)

    def markdown(self) -> str:
        rule = ["---" if column in self.words else "---:" for column in range(len(self.head))]
        return "\n".join(f"| {' | '.join(line)} |" for line in (self.head, rule, *self.rows))


def number(value: float) -> str:
    """With as many digits as a figure of these deserves: three, and thousands told apart."""
    size = abs(value)
    digits = 0 if size >= 100 or not size else 1 if size >= 10 else 2 if size >= 1 else 3
    return f"{value:,.{digits}f}"


def spread(found: Series | Spread | None, unit: str = "") -> str:
    """`12.3 (11.9..14.0)`; a dash where nothing was measured."""
    if found is None:
        return "-"
    return f"{number(found.median)}{unit} ({number(found.least)}..{number(found.most)})"


def table_of(part: Part) -> Table:
    """What was measured, by row, of each contestant, by column; or the other way around where that is narrower."""
    measures = {each.metric: each for each in part.series}
    titles = {name: f"{name}, {each.unit}".rstrip(", ") for name, each in measures.items()}
    if len(measures) < len(part.contestants):
        rows = [[who, *(spread(part.get(who, name)) for name in measures)] for who in part.contestants]
        return Table(["", *titles.values()], rows)
    rows = [[titles[name], *(spread(part.get(who, name)) for who in part.contestants)] for name in measures]
    return Table(["", *part.contestants], rows)


def terms(part: Part) -> str:
    """Where and how, in one line."""
    said = ", ".join(f"{name}: {value}" for name, value in part.terms.items())
    where = f"{part.machine.cores} cores, {part.machine.memory} GiB"
    return f"{part.date}, commit {part.commit}, {where}; {said}; medians (least..most)"


def shown(part: Part) -> str:
    """What a part prints when it has ended."""
    return f"\n{part.name}\n{terms(part)}\n\n{table_of(part).text()}\n"
