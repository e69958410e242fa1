"""Makes, in each framework's own environment, small networks of ours with the file and the output of that framework."""
