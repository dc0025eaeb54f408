"""The page, the picture and the figures of the bench say the same, and nothing that was not measured."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from xml.etree import ElementTree

import pytest

from app.core.settings import PROJECT_ROOT
from bench import report
from bench.figures import Part, Series, loaded
from bench.machine import Machine
from bench.names import FASTAPI_ORM, LITESTAR, PLINTH, PLINTH_UVICORN, READ
from bench.overview import overview, sentence
from bench.page import BEGIN, END, between, generated, replaced
from bench.picture import picture
from bench.tables import Table, number
from bench.targets import TARGETS, Parts, Target

SVG = "{http://www.w3.org/2000/svg}"
HERE = Machine(cores=2, memory=24, cpu="A CPU", system="Linux")
SPEEDS = {PLINTH: (900.0, 1000.0, 1100.0), PLINTH_UVICORN: (2000.0, 2000.0, 2000.0), FASTAPI_ORM: (400.0, 400.0, 400.0)}


def of_http(speeds: Mapping[str, tuple[float, ...]]) -> Parts:
    found = tuple(
        Series("http", who, READ, "requests/s", values, more_is_better=True) for who, values in speeds.items()
    )
    return {"http": Part("http", found, {"Python": "3.11"}, {}, date="2026-01-02", commit="abc", machine=HERE)}


def committed() -> Parts:
    return loaded(report.FIGURES.read_text())


def test_the_page_is_what_the_committed_figures_give() -> None:
    assert between(report.PAGE.read_text()) == generated(committed())


def test_the_picture_is_what_the_committed_figures_give() -> None:
    assert report.PICTURE.read_text() == picture(committed())


def test_the_page_shows_the_picture_and_its_prose_stands_around_the_marks() -> None:
    page = report.PAGE.read_text()

    assert f"]({report.PICTURE.name})" in page
    assert page.count(BEGIN) == page.count(END) == 1
    assert len(page.partition(END)[2]) > 500


def test_no_figure_names_the_machine_it_was_measured_on() -> None:
    text = report.FIGURES.read_text() + report.PAGE.read_text()

    assert f"{PROJECT_ROOT}/" not in text
    assert not re.search(r"/(home|root|tmp|opt|srv|mnt|usr|var)/|localhost|\bhttps?://\d", text)


def test_the_picture_is_well_formed_and_brings_neither_script_nor_font() -> None:
    root = ElementTree.fromstring(report.PICTURE.read_text())  # noqa: S314  (our own file)

    kinds = {element.tag.removeprefix(SVG) for element in root.iter()}
    assert kinds == {"svg", "title", "style", "rect", "text", "line", "path"}
    style = root.find(f"{SVG}style")
    assert style is not None
    assert "prefers-color-scheme: dark" in (style.text or "")
    assert not re.search(r"url\(|@import|@font-face", report.PICTURE.read_text())


def test_a_bar_is_as_long_as_its_figure() -> None:
    root = ElementTree.fromstring(picture(of_http(SPEEDS)))  # noqa: S314  (our own text)

    bars = [float(bar.attrib["width"]) for bar in root.iter(f"{SVG}rect") if bar.attrib["class"] != "paper"]
    fastest, ours, orm = bars[:3]
    assert fastest == pytest.approx(2 * ours, rel=0.01)
    assert ours == pytest.approx(2.5 * orm, rel=0.01)


def test_a_name_cannot_break_the_picture() -> None:
    root = ElementTree.fromstring(picture(of_http({"<b> & co.": (1.0,)})))  # noqa: S314  (our own text)

    assert "<b> & co." in [text.text for text in root.iter(f"{SVG}text")]


def test_a_target_is_met_by_the_median_and_no_less() -> None:
    parts = of_http(SPEEDS)
    target = Target("http", READ, PLINTH, FASTAPI_ORM, 2.5)
    found = target.measured(parts)

    assert found is not None
    assert target.met(found)
    assert not replace(target, bound=2.51).met(found)
    assert replace(target, bound=2.5, at_least=False).met(found)
    assert not replace(target, bound=2.49, at_least=False).met(found)


def test_what_was_not_measured_is_neither_met_nor_missed() -> None:
    parts = of_http(SPEEDS)

    rows = {tuple(row[:3]): row[-1] for row in overview(parts).rows}
    assert rows[READ, PLINTH, FASTAPI_ORM] == "met"
    assert rows[READ, PLINTH_UVICORN, FASTAPI_ORM] == "met"
    assert rows[READ, PLINTH, LITESTAR] == "not measured"
    assert sentence(parts) == f"2 of 2 targets met; {len(TARGETS) - 2} not measured."


def test_a_missed_target_is_told() -> None:
    parts = of_http({PLINTH: (500.0,), FASTAPI_ORM: (400.0,)})

    assert sentence(parts).startswith("0 of 1 targets met")
    assert "**missed**" in generated(parts)


def test_every_target_was_measured() -> None:
    parts = committed()

    assert [target for target in TARGETS if target.measured(parts) is None] == []


def test_what_people_wrote_around_the_marks_stays() -> None:
    page = f"Before.\n{BEGIN}\nold\n{END}\nAfter.\n"

    assert replaced(page, "new") == f"Before.\n{BEGIN}\n\nnew\n\n{END}\nAfter.\n"


def test_a_page_without_its_marks_is_refused() -> None:
    with pytest.raises(ValueError, match="marks"):
        replaced(f"Before. {BEGIN} and no end", "new")


def test_a_table_is_padded_in_a_terminal_and_plain_in_markdown() -> None:
    table = Table(["", "ms"], [["a name", "1.00"], ["**b**", "12.0"]])

    assert table.text() == "          ms\na name  1.00\nb       12.0"
    assert table.markdown() == "|  | ms |\n| --- | ---: |\n| a name | 1.00 |\n| **b** | 12.0 |"


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0, "0"), (0.1234, "0.123"), (9.999, "10.00"), (12.34, "12.3"), (123.4, "123"), (12345.6, "12,346")],
)
def test_a_figure_has_the_digits_it_deserves(value: float, shown: str) -> None:
    assert number(value) == shown
