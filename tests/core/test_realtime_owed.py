"""What is owed stays owed until it is paid, whatever happens in between, and never grows beyond its bound."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from app.core.realtime.owed import Owed


def owed(*items: str, most: int = 3) -> Owed[str]:
    book = Owed[str](most)
    for item in items:
        book.add(item)
    return book


def test_each_thing_is_owed_once_and_paid_in_order() -> None:
    book = owed("a", "b", "a")

    with book.paying(1) as first:
        pass
    with book.paying(10) as rest:
        pass

    assert (first, rest) == (["a"], ["b"])
    assert not book


def test_what_could_not_be_paid_is_owed_again() -> None:
    book = owed("a", "b")

    with pytest.raises(asyncio.CancelledError), book.paying(1):
        raise asyncio.CancelledError

    assert len(book) == 2


def test_what_is_added_while_it_is_paid_is_owed_once_more() -> None:
    book = owed("a")

    with book.paying(1):
        book.add("a")

    assert len(book) == 1


def test_above_the_bound_everything_is_owed_and_nothing_else_remembered() -> None:
    book = owed("a", "b", "c", "d", "e")

    assert book
    assert book.everything
    assert len(book) == 0


def test_a_batch_that_comes_back_to_a_full_book_makes_it_everything() -> None:
    book = owed("a", "b", "c")

    with suppress(ConnectionError), book.paying(1):
        book.add("d")
        raise ConnectionError

    assert book.everything


def test_everything_stays_owed_until_it_is_paid() -> None:
    book = owed("a", "b", "c", "d")

    with suppress(ConnectionError), book.paying_everything():
        raise ConnectionError
    with book.paying_everything() as everything:
        book.add("later")
    with book.paying(10) as rest:
        pass

    assert everything
    assert rest == ["later"]
    assert not book
