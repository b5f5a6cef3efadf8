"""How a node is described to the graph, at training time only; labels are unknown here."""
