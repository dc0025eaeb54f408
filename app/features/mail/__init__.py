"""Outgoing mail: one port, and how it leaves here."""

from app.feature import Feature
from app.features.mail.mailer import Mail, Mailer, mailer_of

feature = Feature(name="mail")

__all__ = ["Mail", "Mailer", "feature", "mailer_of"]
