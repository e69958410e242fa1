"""Random NIR graphs through the toolchain, held to an oracle that shares no code with it and to Lava."""
