"""Measurements, run by hand: figures of one run are ratios, never promises."""
