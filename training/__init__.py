"""From data to a trained network: `loop.train.train` runs an experiment and leaves a checkpoint.pt.

config/          an experiment as a frozen, validated value, and the packaged ones by name
data/            data sets by name: paired video and audio images as 8-bit pixels
model/           the network: neurons, layers, attention
systems/         the networks that it is compared with
loop/            the training itself, in Lightning
checkpoint.py    a trained network as a file
source.py        experiments and checkpoints as a user names them
samples.py       a split of an experiment as a file that the later steps take
"""
