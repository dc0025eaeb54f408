"""What the mails of identity say, and how they are asked for; tasks send them."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from app.core.resources import Resources
from app.features.identity.repository.users import select_user
from app.features.identity.tasks import SEND_NOTICE, Notice, NoticeMail
from app.features.mail import Mail, MailRefused, mailer_of

HAPPENED = {
    Notice.PASSWORD_CHANGED: "Your password was changed.",
    Notice.PASSWORD_RESET: "A new password was set with a link from a mail to you, and all sign-ins were ended.",
    Notice.SECOND_FACTOR_ADDED: "A second factor was added: signing in now takes a code as well.",
    Notice.SECOND_FACTOR_REMOVED: "The second factor was removed: signing in takes the password alone.",
    Notice.RECOVERY_CODE_USED: "A recovery code was used in place of your second factor.",
    Notice.EXTERNAL_LINKED: "Another way to sign in was connected to your account.",
}


async def notify(resources: Resources, user_id: UUID, *, about: Notice) -> None:
    """Have the user told; needs the open transaction of what happened."""
    await resources.queue.enqueue(SEND_NOTICE, NoticeMail(user_id, about, resources.clock.now()))


async def send_notice(resources: Resources, mail_id: str, told: NoticeMail) -> None:
    await send_to(resources, mail_id, told.user_id, about="Your account was changed", text=_notice(told))


async def send_to(resources: Resources, mail_id: str, user_id: UUID, *, about: str, text: str) -> None:
    """Nobody is told who is gone meanwhile."""
    user = await select_user(resources.database, user_id)
    if user is not None:
        await send(resources, mail_id, to=user["email"], about=about, text=text)


async def send(resources: Resources, mail_id: str, *, to: str, about: str, text: str) -> None:
    """`mail_id` is the same in every try. Raises `MailRefused` where no other one will do, else anything."""
    mailer = mailer_of(resources.settings)
    if mailer is None:
        raise MailRefused("no mail leaves here: email.adapter is off; set it to smtp, and email.smtp_host")
    await mailer.send(Mail(to=to, subject=f"{about} ({resources.settings.app.name})", text=text, id=mail_id))


def verification(resources: Resources, token: str, *, asked_at: datetime) -> str:
    """Nothing that the stranger who asked has chosen: else anybody could have us send their text to anybody."""
    opened = _opened(resources.settings.email.verify_url, token, to="confirm this address")
    return f"""\
Somebody asked for an account with this e-mail address on {_time(asked_at)}.

{opened}

That has to be done within 24 hours. If you did not ask at that time, ignore this
mail, and don't open what it holds: without it there will be no account.
"""


def already_registered(asked_at: datetime) -> str:
    return f"""\
Somebody asked for an account with this e-mail address on {_time(asked_at)}.

You have an account with it already: sign in, or have a new password set if you
have forgotten yours. Nothing was changed.

If it was not you who asked, you need not do anything.
"""


def reset(resources: Resources, token: str) -> str:
    opened = _opened(resources.settings.email.reset_url, token, to="choose a new password")
    return f"""\
Somebody asked for a new password for the account with this e-mail address.

{opened}

That works once, within 30 minutes, and ends all sign-ins. A second factor stays.

If it was not you who asked, ignore this mail: your password stays as it is. Never
pass on what this mail holds, whoever asks for it.
"""


def nothing_to_reset() -> str:
    return """\
Somebody asked for a new password for the account with this e-mail address.

This account has no password here: sign in with the provider that you always sign
in with. Nothing was changed.

If it was not you who asked, you need not do anything.
"""


def _notice(told: NoticeMail) -> str:
    return f"""\
{HAPPENED[told.about]}
That was on {_time(told.at)}.

If it was you, you need not do anything. If it was not: have a new password set at
once, which ends all sign-ins, look through your sessions, API keys and second
factor, and tell those who run this service.
"""


def _opened(url: str, token: str, *, to: str) -> str:
    """Behind `#`, so that the token is in no server's log and in no Referer."""
    if not url:
        return f"To {to}, give this token to the program you asked with:\n\n{token}"
    return f"To {to}, open this page:\n\n{url}#token={token}"


def _time(moment: datetime) -> str:
    return f"{moment:%d %B %Y at %H:%M} UTC"
