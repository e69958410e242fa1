"""Lava Processes and process models, and nothing else: Lava's compiler executes every file beside a Process."""
