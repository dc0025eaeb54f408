"""How often a client may send, by a clock that only the test moves."""

from __future__ import annotations

from app.sockets.rates import TokenBucket, Verdict

PASSED, REFUSED, FLOOD = Verdict.PASSED, Verdict.REFUSED, Verdict.FLOOD


def taken(bucket: TokenBucket, times: int, now: float) -> list[Verdict]:
    return [bucket.take(now) for _ in range(times)]


def test_ten_seconds_worth_may_come_at_once() -> None:
    assert taken(TokenBucket(5, 0.0), 51, 0.0) == [PASSED] * 50 + [REFUSED]


def test_whoever_keeps_to_the_rate_is_never_refused() -> None:
    bucket = TokenBucket(5, 0.0)

    assert {bucket.take(number / 5) for number in range(1000)} == {PASSED}


def test_twice_the_rate_is_refused_and_then_a_flood() -> None:
    bucket = TokenBucket(5, 0.0)

    verdicts = [bucket.take(number / 10) for number in range(1000)]

    assert sorted(set(verdicts), key=verdicts.index) == [PASSED, REFUSED, FLOOD]
    assert 95 <= verdicts.count(PASSED) <= 101
    assert 95 <= verdicts.count(REFUSED) <= 105


def test_whoever_pauses_is_let_pass_again() -> None:
    bucket = TokenBucket(5, 0.0)
    taken(bucket, 70, 0.0)

    assert bucket.take(4.0) is REFUSED
    assert bucket.take(8.0) is PASSED
    assert taken(bucket, 51, 1000.0) == [PASSED] * 50 + [REFUSED]
