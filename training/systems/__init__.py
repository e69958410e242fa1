"""The systems that SNNergy is compared with, one file each, and the parts that several of them have.

parts.py, attention.py, residual.py, balance.py   layers; self-attention; residual networks; modulated gradients
build.py, size.py                                 the network of a model section, and the memory that it takes
"""
