"""NIR graphs: read and checked, with one table of what is known of each node type, and executed in float."""
