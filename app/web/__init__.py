"""The HTTP edge: what a browser or client meets, and how a feature declares its routes."""

from app.web.application import Application, resources
from app.web.audience import current_caller, find_caller
from app.web.callers import Authenticator, Caller, Reviewer
from app.web.endpoint import Endpoint, endpoint
from app.web.paging import Page, PageQuery, decode_cursor, page_of
from app.web.policy import (
    ADMIN,
    HOUR,
    KIB,
    MIB,
    MINUTE,
    PAGE,
    PROBE,
    PUBLIC,
    SCRAPE,
    SECOND,
    SIGNED_IN,
    SOCKET,
    Audience,
    By,
    Limit,
    Policy,
)
from app.web.prompt import PromptAnswer
from app.web.security_headers import page_policy

__all__ = [
    "ADMIN",
    "HOUR",
    "KIB",
    "MIB",
    "MINUTE",
    "PAGE",
    "PROBE",
    "PUBLIC",
    "SCRAPE",
    "SECOND",
    "SIGNED_IN",
    "SOCKET",
    "Application",
    "Audience",
    "Authenticator",
    "By",
    "Caller",
    "Endpoint",
    "Limit",
    "Page",
    "PageQuery",
    "Policy",
    "PromptAnswer",
    "Reviewer",
    "current_caller",
    "decode_cursor",
    "endpoint",
    "find_caller",
    "page_of",
    "page_policy",
    "resources",
]
