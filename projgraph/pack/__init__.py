"""The model file: one table of its format, quantising, writing and reading; training is unknown here."""
