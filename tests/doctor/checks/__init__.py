"""One module per kind of failure."""
