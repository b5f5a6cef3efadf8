"""The demonstration of a model as one page for a browser; training and evaluation are unknown here."""
