"""Which passwords may be chosen: long ones that are not easy to guess, of whatever characters."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from math import prod
from secrets import token_urlsafe

from app.core.errors import ValidationFailed
from app.core.resources import Resources
from app.features.identity.bounded_threads import BoundedThreads
from app.features.identity.hashing import normal

SHORTEST = 12  # characters
LONGEST = 1024  # bytes of UTF-8
GOOD = 3  # of zxcvbn's 0 to 4: more than 10^8 guesses
# More is not looked at: the time grows with the cube of the length, and who appends to a good beginning does no harm.
JUDGED = 48  # characters
WORD = 3  # characters of a name that are not to be all that a password consists of

TOO_SHORT = f"Choose at least {SHORTEST} characters; several words are easier to remember than signs."
TOO_LONG = f"It is longer than {LONGEST} bytes of UTF-8."
ABOUT_YOU = "It is your e-mail address or your name, which others know, too."
GUESSABLE = "It is too easy to guess."

# zxcvbn reads signs as letters in every combination, which takes seconds for all of them together. Where they are
# many, those that are no digits are read as one letter each.
SIGNS = str.maketrans("@({[<!|$+%", "acccciistx")
COMBINATIONS = 4


def new_password() -> str:
    """One that nobody has to remember: 24 characters with 144 random bits."""
    return token_urlsafe(18)


class Judging(BoundedThreads):
    """One thread: it is Python, which takes turns with the loop. Two would make the loop wait for twice as long."""

    def __init__(self) -> None:
        super().__init__("judging", 1)


def check_length(password: str, *, field: str = "password") -> None:
    """Of any password that somebody sends, before it costs anything. Raises `ValidationFailed`."""
    if len(password) > LONGEST or len(password.encode("utf-8", "surrogatepass")) > LONGEST:
        raise ValidationFailed({field: [TOO_LONG]})


async def judge(resources: Resources, password: str, *, about: Sequence[str], field: str = "password") -> None:
    """`check_new_password` beside the loop. Raises `ValidationFailed`, and `HashingBusy` where too many wait."""
    check_length(password, field=field)
    await resources.held.obtain(Judging, Judging).run(check_new_password, password, about=about, field=field)


def check_new_password(password: str, *, about: Sequence[str], field: str = "password") -> None:
    """`about` is what everybody knows of the person: e-mail address, name. Takes up to 0.1 s.

    Raises `ValidationFailed`. There are no rules about digits or capitals (ASVS 6.2.5).
    """
    check_length(password, field=field)
    password = normal(password)
    if wrong := list(_wrong(password, about)):
        raise ValidationFailed({field: [" ".join(wrong)]})


def _wrong(password: str, about: Sequence[str]) -> Iterator[str]:
    if len(password) < SHORTEST:
        yield TOO_SHORT
    elif _is_about(password, about):
        yield ABOUT_YOU
    else:
        yield from _guessable(password, about)


def _is_about(password: str, about: Sequence[str]) -> bool:
    """Whether nothing is left of it but signs and digits without what is known of the person (ASVS 6.2.11)."""
    rest = password.casefold()
    for word in sorted(_words(about), key=len, reverse=True):
        rest = rest.replace(word, "")
    return rest != password.casefold() and not any(each.isalpha() for each in rest)


def _words(about: Sequence[str]) -> set[str]:
    """The whole of each, and the words in it."""
    whole = [normal(each).casefold() for each in about if each]
    parts = [part for each in whole for part in re.split(r"[\W_]+", each)]
    return {each for each in (*whole, *parts) if len(each) >= WORD}


def _guessable(password: str, about: Sequence[str]) -> Iterator[str]:
    # It costs 0.1 s and 20 MB, which a process that nobody registers at can do without.
    from zxcvbn import feedback, matching, scoring, time_estimates  # noqa: PLC0415

    head = _with_few_signs(_head(password), matching.L33T_TABLE)
    # Its own entrance keeps the words of the last caller in a global, where another thread would read them.
    known = {**matching.RANKED_DICTIONARIES, "user_inputs": matching.build_ranked_dict(sorted(_words(about)))}
    found = scoring.most_guessable_match_sequence(head, matching.omnimatch(head, known))
    score = time_estimates.estimate_attack_times(found["guesses"])["score"]
    if score < GOOD:
        said = feedback.get_feedback(score, found["sequence"])
        yield said["warning"] or GUESSABLE
        yield from said["suggestions"]


def _head(password: str) -> str:
    """What is judged of it; of what repeats itself only whole times: a rest would look like something more."""
    head = password[:JUDGED]
    period = next(length for length in range(1, JUDGED + 1) if head.startswith(head[length:]))
    return head[: -(len(head) % period) or None] if 2 * period <= len(head) else head


def _with_few_signs(password: str, letters: Mapping[str, Sequence[str]]) -> str:
    combinations = prod(max(1, sum(sign in password for sign in signs)) for signs in letters.values())
    return password.translate(SIGNS) if combinations > COMBINATIONS else password
