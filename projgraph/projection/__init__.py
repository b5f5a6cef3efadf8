"""The bits, the projection graph, the loss and the fit; files and tracking are unknown here."""
