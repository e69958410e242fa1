"""Samples through an integer network on any backend: one call, one recorded run, one comparison of two simulators."""
