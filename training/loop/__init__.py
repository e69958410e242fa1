"""Running experiments: `train.py` and `seeds.py` are what others call; `run.py` does it, with the parts beside it."""
