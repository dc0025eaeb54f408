"""Outgoing mail: one port, and how it leaves here."""

from app.feature import Feature
from app.features.mail.adapters import mailer_of
from app.features.mail.mailer import Mail, Mailer, MailRefused
from app.features.mail.message import is_address

feature = Feature(name="mail")

__all__ = ["Mail", "MailRefused", "Mailer", "feature", "is_address", "mailer_of"]
