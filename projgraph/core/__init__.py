"""The C99 device core and the generators of its tables; it knows no Python above native.py."""
