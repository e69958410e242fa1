""".net files: HDF5 that stock lava-dl reads where the network is a chain of layers."""
