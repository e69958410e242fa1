"""Asks simulators of others what Loihi does, and keeps their answers for the tests."""
