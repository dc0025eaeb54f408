"""Loads the test kit; fixtures and hooks live in `tests/harness`."""

pytest_plugins = [
    "pytester",
    "tests.harness.plugin",
    "tests.harness.fixtures",
    "tests.harness.figures",
    "tests.harness.examples",
]
