"""When a schedule's time comes, held against a walk through every minute."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.tasks import Cron

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
FIELDS = {"minute": (0, 59), "hour": (0, 23), "day": (1, 31), "month": (1, 12), "weekday": (0, 7)}
unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
LONGEST = 3 * 24 * 60  # minutes that a walk takes


@dataclass(frozen=True)
class Part:
    """One field: as it is written, and the numbers it stands for."""

    text: str
    numbers: AbstractSet[int] = field(repr=False)


@dataclass(frozen=True)
class Expression:
    minute: Part
    hour: Part
    day: Part
    month: Part
    weekday: Part

    @property
    def text(self) -> str:
        return " ".join(part.text for part in (self.minute, self.hour, self.day, self.month, self.weekday))

    def fits(self, moment: datetime) -> bool:
        return moment.hour in self.hour.numbers and moment.minute in self.minute.numbers and self.has(moment)

    def has(self, moment: datetime) -> bool:
        """Whether the day fits. Sunday is 0 and 7; of the two fields for days, both must fit where one is a star."""
        day = moment.day in self.day.numbers
        weekday = bool({moment.isoweekday(), moment.isoweekday() % 7} & self.weekday.numbers)
        is_star = "*" in (self.day.text[0], self.weekday.text[0])
        return moment.month in self.month.numbers and ((day and weekday) if is_star else (day or weekday))


@st.composite
def items(draw: st.DrawFn, low: int, high: int) -> Part:
    """One term of a field: `*`, `*/5`, `7`, `3-9`, `3-9/2`, `7/4`."""
    kind = draw(st.sampled_from(["star", "number", "range"]))
    step = draw(st.none() | st.integers(1, high + 2))
    first = draw(st.integers(low, high))
    last = draw(st.integers(first, high))
    text, numbers = {
        "star": ("*", range(low, high + 1)),
        "number": (f"{first}", range(first, high + 1) if step else range(first, first + 1)),
        "range": (f"{first}-{last}", range(first, last + 1)),
    }[kind]
    if kind == "range" and first == last and step:
        numbers = range(first, high + 1)  # 5-5/3 is read as 5/3; nobody writes it
    return Part(f"{text}/{step}", set(numbers[::step])) if step else Part(text, set(numbers))


@st.composite
def parts(draw: st.DrawFn, low: int, high: int) -> Part:
    listed = draw(st.lists(items(low, high), min_size=1, max_size=3))
    return Part(",".join(part.text for part in listed), set().union(*(part.numbers for part in listed)))


expressions = st.builds(Expression, **{name: parts(*limits) for name, limits in FIELDS.items()})
moments = st.datetimes(datetime(1999, 1, 1), datetime(2105, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001  (as st asks)


def cron_of(expression: Expression) -> Cron | None:
    """None for one that never comes."""
    try:
        return Cron(expression.text)
    except ValueError:
        return None


@unhurried
@given(expressions, moments)
def test_the_next_and_the_last_tick_are_those_of_a_walk_through_the_minutes(
    expression: Expression, moment: datetime
) -> None:
    minute = moment.replace(second=0, microsecond=0)
    after = next((at for n in range(LONGEST) if expression.fits(at := minute + MINUTE * (n + 1))), None)
    until = next((at for n in range(LONGEST) if expression.fits(at := minute - MINUTE * n)), None)

    cron = cron_of(expression)

    if cron is None:
        assert (after, until) == (None, None)
        return
    following, last = cron.next_after(moment), cron.last_until(moment)
    assert expression.fits(following)
    assert expression.fits(last)
    assert following == after if after else following > minute + MINUTE * LONGEST
    assert last == until if until else last <= minute - MINUTE * LONGEST


@unhurried
@given(parts(1, 31), parts(1, 12), parts(0, 7), moments)
def test_the_days_are_those_of_a_walk_through_the_years(
    day: Part, month: Part, weekday: Part, moment: datetime
) -> None:
    expression = Expression(Part("30", {30}), Part("12", {12}), day, month, weekday)
    noon = moment.replace(hour=12, minute=30, second=0, microsecond=0)
    walk = [noon + DAY * n for n in range(-900, 900)]
    fitting = [at for at in walk if expression.has(at)]

    cron = cron_of(expression)

    if cron is None:
        assert fitting == []
        return
    following, last = cron.next_after(noon), cron.last_until(noon)
    assert following == next((at for at in fitting if at > noon), following)
    assert last == next((at for at in reversed(fitting) if at <= noon), last)
    assert following > noon >= last
    assert expression.has(following)
    assert expression.has(last)


@pytest.mark.parametrize(
    ("expression", "moment", "last", "following"),
    [
        ("*/5 * * * *", "2026-01-01 00:00", "2026-01-01 00:00", "2026-01-01 00:05"),
        ("*/5 * * * *", "2025-12-31 23:59", "2025-12-31 23:55", "2026-01-01 00:00"),
        ("0 0 31 * *", "2026-04-30 12:00", "2026-03-31 00:00", "2026-05-31 00:00"),
        ("0 0 29 2 *", "2099-12-31 00:00", "2096-02-29 00:00", "2104-02-29 00:00"),
        ("59 23 L * *", "2028-02-29 23:59", "2028-02-29 23:59", "2028-03-31 23:59"),
        ("0 9 * * 1-5", "2026-05-02 10:00", "2026-05-01 09:00", "2026-05-04 09:00"),
        ("0 9 * * mon-fri", "2026-05-02 10:00", "2026-05-01 09:00", "2026-05-04 09:00"),
        ("0 0 * * 7", "2026-05-02 10:00", "2026-04-26 00:00", "2026-05-03 00:00"),
        ("0 0 1 * 0", "2026-05-02 10:00", "2026-05-01 00:00", "2026-05-03 00:00"),
        ("0 0 29 2 */7", "2026-05-02 10:00", "2004-02-29 00:00", "2032-02-29 00:00"),
        ("0 0 30 2 5", "2026-05-02 10:00", "2026-02-27 00:00", "2027-02-05 00:00"),
    ],
)
def test_ticks_of_the_calendar(expression: str, moment: str, last: str, following: str) -> None:
    cron = Cron(expression)
    at, before, after = (datetime.fromisoformat(text).replace(tzinfo=UTC) for text in (moment, last, following))

    assert cron.last_until(at) == before
    assert cron.next_after(at) == after


@unhurried
@given(moments)
def test_a_tick_is_the_last_one_from_its_first_instant_to_that_of_the_next(moment: datetime) -> None:
    cron = Cron("*/7 3-5 * * *")
    tick = cron.next_after(moment)

    assert cron.last_until(tick) == tick
    assert cron.last_until(tick - timedelta(microseconds=1)) < tick
    assert cron.last_until(cron.next_after(tick) - timedelta(microseconds=1)) == tick
    assert cron.next_after(tick - timedelta(microseconds=1)) == tick


def test_the_zone_of_the_moment_does_not_matter() -> None:
    cron = Cron("0 6 * * *")
    tokyo = timezone(timedelta(hours=9))
    moment = datetime(2026, 5, 2, 15, 0, tzinfo=tokyo)

    assert cron.last_until(moment) == datetime(2026, 5, 2, 6, 0, tzinfo=UTC)
    assert cron.last_until(moment).tzinfo is UTC
    assert cron.next_after(moment) == datetime(2026, 5, 3, 6, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    "expression",
    [
        *("", "*", "* * * *", "0 */5 * * * *", "* * * * * *", "@daily", "every day at 5"),
        *("60 * * * *", "* 24 * * *", "* * 0 * *", "* * 32 * *", "* * * 13 *", "* * * 0 *", "* * * * 8"),
        *(
            "-1 * * * *",
            "*/0 * * * *",
            "5-1 * * * *",
            "1, * * * *",
            "1- * * * *",
            "a * * * *",
            "* * * * mo",
            "1.5 * * * *",
        ),
        *("0 0 30 2 *", "0 0 31 2,4,6,9,11 *", "0 0 31 4 */2", "0 0 */30 * MON#2", "0 0 30-31 2 *"),
    ],
)
def test_what_is_wrong_or_never_comes_is_refused_where_it_is_declared(expression: str) -> None:
    with pytest.raises(ValueError, match=r"is no cron expression|never comes") as refused:
        Cron(expression)

    assert repr(expression) in str(refused.value)


@unhurried
@given(st.lists(st.text("0123456789*/-,L#W?MONFEB ²", max_size=8), min_size=5, max_size=5).map(" ".join))
def test_whatever_is_written_is_taken_or_refused_with_the_one_error(expression: str) -> None:
    try:
        cron = Cron(expression)
    except ValueError as refused:
        assert repr(expression) in str(refused)  # noqa: PT017  (most are refused, some are not)
        return

    moment = datetime(2026, 5, 2, tzinfo=UTC)
    assert cron.last_until(moment) <= moment < cron.next_after(moment)
