"""The network, from its neuron up: neurons, layers, the blocks made of them, and `network.SNNergy`.

`neurons.py` alone knows SpikingJelly. `lif_scan.py` and `batch_norm.py` compute what its own loop would, faster.
"""
