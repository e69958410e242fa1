"""Trained networks made to bear their rounding: further training through the very integers that `compile` chooses.

finetune.py    from a checkpoint to a fine-tuned one
learner.py     the training of a network that is rounded at every step
lowered.py     a network in training to the float network that compilation rounds, and to the scales that it chooses
rounded.py     the forward pass of the rounded network, with the gradient of the float one
"""
