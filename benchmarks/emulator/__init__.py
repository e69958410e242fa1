"""How fast the emulator is beside what computes the same, and what a run costs.

    make bench-emulator, which is
    python -m benchmarks.emulator -o benchmarks/results/emulator.json --page docs/speed.md

Every network runs with the same weights and the same input everywhere, on one thread. Each part is a module: other
simulators (`beside_simulators`, each in an environment that uv makes), SNNergy in PyTorch (`beside_pytorch`), Lava
(`beside_lava`), what `compile` takes (`compiling`), cost against batch, steps, activity and size (`cost`), a second
worker (`workers`), peak memory (`memory`), and the machine's limits (`limits`). `--parts` runs some again and keeps the
rows of the others.
"""
