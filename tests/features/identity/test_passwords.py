"""Which passwords may be chosen, and what it costs to find out."""

from __future__ import annotations

import asyncio
import random
import string
import threading
import unicodedata
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from itertools import cycle, islice
from time import thread_time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from zxcvbn.frequency_lists import FREQUENCY_LISTS

from app.core.errors import ValidationFailed
from app.core.lifecycle import Lifecycle
from app.core.resources import Resources, open_resources
from app.features.identity import passwords
from app.features.identity.bounded_threads import WAITING
from app.features.identity.errors import HashingBusy
from app.features.identity.passwords import Judging, check_length, check_new_password
from tests.features.identity.people import PASSWORD
from tests.harness.settings import TestSettings

ADA = ("ada.lovelace@engines.example", "Ada Lovelace")
COMMON: list[str] = FREQUENCY_LISTS["passwords"]


def refusal(password: str, about: Sequence[str] = ADA) -> str:
    """What is wrong with it; empty where nothing is."""
    try:
        check_new_password(password, about=about)
    except ValidationFailed as refused:
        (sentence,) = (refused.details or {})["password"]
        return str(sentence)
    return ""


@pytest.mark.parametrize(
    "password",
    [
        PASSWORD,
        "correct horse battery staple",
        "\u043f\u044f\u0442\u044c \u0441\u0438\u043d\u0438\u0445 \u0432\u044b\u0434\u0440 \u043f\u043b",
        "\U0001f9a6\U0001f3a9\U0001f6b2\U0001f33b\U0001f40c\U0001f9e9\U0001f3ba\U0001f996\U0001f355\U0001f9ed\U0001f9f6\u2603",
        "all lower case and no digit at all",
        "xk7#Vq9!mZ2&",
        "x" + "correct horse battery staple " * 35,  # 1016 bytes
    ],
)
def test_long_ones_of_whatever_characters_are_taken(password: str) -> None:
    assert refusal(password) == ""


def test_eleven_characters_are_too_few_and_twelve_are_enough() -> None:
    assert "12 characters" in refusal("xk7#Vq9!mZ2")
    assert refusal("xk7#Vq9!mZ2&") == ""


def test_characters_are_counted_as_people_see_them() -> None:
    composed = "\u00e9\u00e0\u00fc\u00f6\u00e4\u00f1\u00e7\u00ea\u00ee\u00f4\u00fb"  # 11, which decomposed are 22

    assert "12 characters" in refusal(unicodedata.normalize("NFD", composed))


@pytest.mark.parametrize("password", ["x" * 1025, "\U0001f9a6" * 257, "\ud800" * 342, "a" * 1_000_000])
def test_more_than_1024_bytes_are_refused_before_anything_is_done(password: str) -> None:
    with pytest.raises(ValidationFailed) as refused:
        check_length(password, field="new")

    assert refused.value.status == 400
    assert refused.value.details == {"new": [passwords.TOO_LONG]}
    assert refusal(password) == passwords.TOO_LONG


def test_1024_bytes_are_not_too_many() -> None:
    check_length("x" * 1024)
    check_length("\U0001f9a6" * 256)


def test_all_common_passwords_that_are_long_enough_are_refused() -> None:
    long = [each for each in COMMON if len(each) >= passwords.SHORTEST]

    taken = [each for each in long if not refusal(each)]

    assert len(long) > 200
    assert taken == []


def lengthened(word: str) -> Iterator[str]:
    """What people make of a short one that is refused."""
    yield "".join(islice(cycle(word), max(12, 2 * len(word))))
    yield (word + "1234567890123")[: max(12, len(word))]
    yield word.capitalize().ljust(12, "!")


@pytest.mark.parametrize("part", range(8))
def test_the_3000_most_common_passwords_are_refused_in_every_length_that_fits(part: int) -> None:
    assert len(COMMON) == 30_000

    taken = [made for each in COMMON[:3000][part::8] for made in lengthened(each) if not refusal(made)]

    assert taken == []


@pytest.mark.parametrize(
    ("password", "says"),
    [
        ("aaaaaaaaaaaaaaaaaaaa", "Repeats"),
        ("abcabcabcabcabc", "Repeats"),
        ("abcdefghijklmnop", "Sequences"),
        ("qwertyuiopasdf", "commonly used"),
        ("P4ssw0rd!2345", "commonly used"),
        ("zxcvbnm,./asdfgh", "keys"),
        ("password12345678", "commonly used"),
    ],
)
def test_the_refusal_says_why_and_what_to_do(password: str, says: str) -> None:
    assert says in refusal(password)
    assert refusal(password).endswith(".")


@pytest.mark.parametrize(
    "password",
    [
        "ada.lovelace@engines.example",
        "ADA.LOVELACE@ENGINES.EXAMPLE",
        "ada.lovelace1815",
        "Ada Lovelace!!!",
        "lovelace-lovelace",
        "AdaLovelace2024",
        "1815 Lovelace Ada 1852",
    ],
)
def test_what_everybody_knows_of_the_person_is_no_password(password: str) -> None:
    assert refusal(password) == passwords.ABOUT_YOU
    # It is theirs that is refused; of somebody else the same text may be good.
    assert refusal(password, about=("bob@elsewhere.test", "Bob")) != passwords.ABOUT_YOU


@pytest.mark.parametrize("length", [18, 23, 24, 33, 48, 57, 70, 200])
def test_what_repeats_itself_is_refused_however_often_it_does(length: int) -> None:
    """zxcvbn takes the rest of the last time for something more: it lets 23 characters of this pass."""
    repeated = ("passwordq" * 30)[:length]

    assert refusal(repeated) != ""
    assert length < passwords.JUDGED or refusal(repeated + "xk7") != ""


def test_a_name_is_no_help_inside_a_password() -> None:
    about = ("wxqz@vkpt.example", "Wxqzjk Vkptmf")

    assert refusal("wxqzjk vkptmf on", about=()) == ""
    assert refusal("wxqzjk vkptmf on", about) != ""


@pytest.mark.parametrize("about", [(), ("", ""), ("@", "-"), ("a@b.c", "\0"), ("x" * 254, "\ud800" * 255)])
def test_whatever_a_name_is_it_refuses_no_good_password(about: Sequence[str]) -> None:
    assert refusal(PASSWORD, about) == ""


@settings(deadline=None, max_examples=150)
@given(st.text(st.characters(exclude_categories=()), max_size=80), st.lists(st.text(max_size=30), max_size=3))
def test_every_text_is_taken_or_refused_with_a_sentence(password: str, about: list[str]) -> None:
    said = refusal(password, about)

    assert said == "" or said.endswith(".")


LEET = "4@8({[<369!1|7$5+%20"
WORST: dict[str, str] = {
    "every sign that stands for a letter": LEET * 52,
    "the same, and words": ("p@ssw0rd" + LEET) * 36,
    "the same, over and over in one head": (LEET[:18] * 4)[:72] + "x" * 900,
    "signs and letters in turn": "".join(
        f"{sign}{letter}" for sign, letter in zip(cycle(LEET), string.ascii_letters * 10, strict=False)
    ),
    "one character": "a" * 1024,
    "two characters": "ab" * 512,
    "almost a repeat": "a" * 35 + "b" + "a" * 35 + "c" * 953,
    "digits": "0123456789" * 102,
    "dates": "1.1.11.1.11.1.1" * 68,
    "years": "19991999" * 128,
    "keys": "qazwsxedcrfvtgbyhnujmik" * 44,
    "words": "thatwiththisfromyourhave" * 42,
    "combining marks": "e" + "\u0301\u0316" * 250,
    "what grows when it is normalised": "\U0001d160" * 256,
    "what grows when it is made small": "\u0130" * 512,
    "emoji": "\U0001f9a6" * 256,
}


def heads(seed: int) -> Iterator[str]:
    """Signs, letters and digits at random: what somebody tries who looks for worse."""
    chance = random.Random(seed)  # noqa: S311  (to be the same each time)
    for _ in range(30):
        some = chance.sample(LEET, chance.randint(4, len(LEET))) + list("aeiost")[: chance.randint(0, 6)]
        yield "".join(chance.choices(some, k=72))


@pytest.mark.alone
def test_no_password_takes_longer_than_a_fifth_of_a_second(figure: Callable[[str], None]) -> None:
    refusal(PASSWORD)  # reads its lists
    tried = {**WORST, **{f"at random, {n}": head for n, head in enumerate(heads(seed=4018))}}
    took: dict[str, float] = {}

    for name, password in tried.items():
        cut = password.encode("utf-8", "surrogatepass")[:1024].decode("utf-8", "ignore")
        began = thread_time()
        refusal(cut)
        took[name] = thread_time() - began

    worst = max(took, key=lambda name: took[name])
    figure(f"judging a password: at most {took[worst] * 1000:.0f} ms ({worst})")
    assert took[worst] < 0.2


@pytest.mark.alone
def test_as_it_is_zxcvbn_takes_seconds() -> None:
    """The control: what the heads above would cost."""
    from zxcvbn import zxcvbn  # noqa: PLC0415  (as where it is used)

    began = thread_time()
    zxcvbn((LEET * 2)[:36])

    assert thread_time() - began > 0.2


@pytest.fixture
async def resources(settings: TestSettings) -> AsyncIterator[Resources]:
    async with open_resources(settings(), Lifecycle()) as opened:
        yield opened


async def test_those_who_are_judged_wait_in_a_queue_that_has_an_end(resources: Resources) -> None:
    gate, judging = threading.Event(), resources.held.obtain(Judging, Judging)
    inside = [asyncio.create_task(judging.run(gate.wait)) for _ in range(1 + WAITING)]
    await asyncio.sleep(0)

    with pytest.raises(HashingBusy):
        await passwords.judge(resources, PASSWORD, about=ADA)
    gate.set()
    await asyncio.gather(*inside)

    await passwords.judge(resources, PASSWORD, about=ADA)
    with pytest.raises(ValidationFailed) as refused:
        await passwords.judge(resources, "ada lovelace", about=ADA, field="new")
    assert refused.value.details == {"new": [passwords.ABOUT_YOU]}


async def test_two_who_are_judged_at_once_know_nothing_of_each_other(resources: Resources) -> None:
    """With zxcvbn's own entrance the words of one are a global, which the other is judged by."""
    mine, yours = ("wxqzjk vkptmf on", ("Wxqzjk Vkptmf",)), ("wxqzjk vkptmf on", ())

    async def verdict(password: str, about: Sequence[str]) -> bool:
        try:
            await passwords.judge(resources, password, about=about)
        except ValidationFailed:
            return False
        return True

    for _ in range(20):
        verdicts = await asyncio.gather(*(verdict(*each) for each in [mine, yours] * 4))
        assert verdicts == [False, True] * 4
