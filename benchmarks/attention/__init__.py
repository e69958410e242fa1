"""What cross-modal attention costs: table 5 and figures 4 to 7 of arXiv 2602.00701, counted and measured.

    python -m benchmarks.attention -o benchmarks/results/attention.json --page docs/attention.md

Operations are counted from the modules as they run. Run time, floating-point operations and peak memory are measured on
one thread, one sample of T = 6 steps and one direction, from the streams to what is added to them: projections,
neurons and attention. Those that are compared take turns, and a time is the median of the rounds. Weights and input are
random, as none of the three depends on them; one input neuron in eight spikes. `--quick` measures two small sizes, to
see that it works.
"""
