"""Loops over integers that numba makes machine code of: synaptic events into sums, sums into spikes."""
