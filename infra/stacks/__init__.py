"""One module a stack: what there is in it, and who may do what with it."""
