"""From a NIR graph to the chip's integers, and integers through a simulator that computes as the chip does.

graph/        NIR: reading, what is known of each node type, shapes, time step, the float oracle
lowering/     `compile`: the passes in their order, and the fidelity of what comes out
passes/       one rewrite a file, all of one shape
netx/         .net files, ours and lava-dl's
simulation/   `simulate` and `verify`: backends behind one protocol, recorded runs
emulator/     the bit-exact emulator       lava/     Intel's simulator, in a process of its own
ir.py         the float and the integer network       limits.py   every number that a register imposes
operators.py  algebra of linear operators    inputs.py   samples to integers    continuous.py   networks without reset
"""
