"""What identity does: one module for each use, each one transaction."""
