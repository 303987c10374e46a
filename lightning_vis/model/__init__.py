"""How a model is run, read, and left as it was."""
