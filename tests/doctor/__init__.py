"""The doctor's findings, each produced for real."""
