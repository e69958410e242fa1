"""Other simulators, each in a script with an environment of its own; `serving.py` says how they are asked."""
