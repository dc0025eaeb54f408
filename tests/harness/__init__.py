"""The test kit: real services once per run, a database per test, real processes, and tools that break things."""
