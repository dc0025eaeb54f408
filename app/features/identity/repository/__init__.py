"""The statements of identity, one module for each table."""
