"""From a NIR graph to an integer network: the passes in their order, and what they cost, node by node."""
