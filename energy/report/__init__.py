"""Renderings of an `Summary`: a page, plots, machine-readable tables and a terminal summary."""
