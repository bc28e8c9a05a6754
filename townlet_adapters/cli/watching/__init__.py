"""``townlet run --watch``: a town on a terminal, drawn as ``townlet_adapters.drawing`` says."""
