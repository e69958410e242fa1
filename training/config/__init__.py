"""An experiment: what can be said in its file, which values are allowed, and where the packaged ones are."""
