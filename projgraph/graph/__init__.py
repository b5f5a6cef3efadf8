"""Graphs in CSR form over feature rows; labels and torch are unknown here."""
