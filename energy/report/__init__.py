"""Renderings of an `EnergyReport`: a page, plots, machine-readable tables and a terminal summary."""
