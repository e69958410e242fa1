"""The passes of lowering, one rewrite a file, each from network to network."""
