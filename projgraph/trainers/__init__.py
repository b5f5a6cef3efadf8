"""One file per algorithm that turns graph, features and labels into soft labels; bits are unknown here."""
