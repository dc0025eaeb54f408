"""Draws charts of horizontal bars as an SVG: readable in light and in dark, with no script and no font of its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from math import ceil, floor, log10

from bench.figures import Series, Spread

WIDTH = 940
EDGE, NAMES, WORDS = 16, 350, 170  # px: the margin, and what stands to the left and to the right of the bars
BAR, ROW, HEAD = 14, 24, 56  # px: the thickness of a bar, from one to the next, a chart's title
PLOT = WIDTH - NAMES - WORDS
TICKS = 5  # at most, after the one at nought
STEPS = (1, 2, 2.5, 5, 10)  # what people count in, times a power of ten

STYLE = """
  svg { font: 13px system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif }
  text { fill: #24292f }
  .paper { fill: #ffffff }
  .title { font-size: 15px; font-weight: 600 }
  .quiet { fill: #57606a }
  .ours { fill: #1f6feb }
  .other { fill: #afb8c1 }
  .axis { stroke: #d0d7de }
  .whisker { stroke: #24292f; stroke-width: 1.5; fill: none }
  .bound { stroke: #cf222e; stroke-width: 2.5 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 }
    .paper { fill: #0d1117 }
    .quiet { fill: #9198a1 }
    .ours { fill: #4493f8 }
    .other { fill: #5c6570 }
    .axis { stroke: #30363d }
    .whisker { stroke: #e6edf3 }
    .bound { stroke: #ff7b72 }
  }
"""


@dataclass(frozen=True)
class Bar:
    """One line of a chart; `bound` is where a target stands, `words` are written to the right."""

    name: str
    found: Series | Spread
    ours: bool
    words: str
    bound: float = 0.0


@dataclass(frozen=True)
class Chart:
    """Bars of one scale."""

    title: str
    note: str
    bars: Sequence[Bar]

    @property
    def height(self) -> int:
        return HEAD + ROW * (len(self.bars) + 2)

    @property
    def ticks(self) -> list[float]:
        """Round numbers, the last of which no whisker and no bound passes."""
        most = max(max(bar.found.most, bar.bound) for bar in self.bars)
        power = 10.0 ** floor(log10(most / TICKS))
        step = next(step * power for step in STEPS if most <= TICKS * step * power)
        return [step * number for number in range(ceil(most / step) + 1)]


def drawn(charts: Sequence[Chart], *, title: str) -> str:
    """The whole file."""
    height = sum(chart.height for chart in charts) + EDGE
    size = f'viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"'
    body: list[str] = []
    top = EDGE
    for chart in charts:
        body += _chart(chart, top)
        top += chart.height
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-labelledby="what">',
        f'<title id="what">{escape(title)}</title>',
        f"<style>{STYLE}</style>",
        f'<rect class="paper" width="{WIDTH}" height="{height}"/>',
        *body,
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _chart(chart: Chart, top: int) -> Iterator[str]:
    yield _text(EDGE, top + 16, chart.title, kind="title")
    yield _text(EDGE, top + 36, chart.note, kind="quiet")
    bottom = top + HEAD + len(chart.bars) * ROW
    for tick in chart.ticks:
        x = round(NAMES + PLOT * tick / chart.ticks[-1], 1)
        yield f'<line class="axis" x1="{x:g}" y1="{top + HEAD - 6}" x2="{x:g}" y2="{bottom}"/>'
        yield _text(x, bottom + 14, f"{tick:,g}", kind="quiet", anchor="middle")
    for index, bar in enumerate(chart.bars):
        yield from _bar(bar, chart.ticks[-1], top + HEAD + index * ROW)


def _bar(bar: Bar, most: float, top: int) -> Iterator[str]:
    middle = top + BAR / 2
    least, median, highest, bound = (
        round(NAMES + PLOT * value / most, 1)
        for value in (bar.found.least, bar.found.median, bar.found.most, bar.bound)
    )
    yield _text(NAMES - 10, middle + 4.5, bar.name, anchor="end")
    kind = "ours" if bar.ours else "other"
    yield f'<rect class="{kind}" x="{NAMES}" y="{top}" width="{median - NAMES:g}" height="{BAR}" rx="2"/>'
    ends = f"M{least:g} {middle - 4:g}v8M{highest:g} {middle - 4:g}v8"
    yield f'<path class="whisker" d="{ends}M{least:g} {middle:g}H{highest:g}"/>'
    if bar.bound:
        yield f'<line class="bound" x1="{bound:g}" y1="{top - 4}" x2="{bound:g}" y2="{top + BAR + 4}"/>'
    yield _text(NAMES + PLOT + 12, middle + 4.5, bar.words)


def _text(x: float, y: float, text: str, *, kind: str = "", anchor: str = "") -> str:
    described = (f' class="{kind}"' if kind else "") + (f' text-anchor="{anchor}"' if anchor else "")
    return f'<text x="{x:g}" y="{y:g}"{described}>{escape(text)}</text>'
