"""The doctor: recognises what people really run into, and says what to type about it."""

from app.doctor.checks import CHECKS, name_of
from app.doctor.finding import Finding, Status
from app.doctor.patient import Limits, Patient, admit
from app.doctor.report import as_json, as_text
from app.doctor.runner import examine, healthy

__all__ = [
    "CHECKS",
    "Finding",
    "Limits",
    "Patient",
    "Status",
    "admit",
    "as_json",
    "as_text",
    "examine",
    "healthy",
    "name_of",
]
