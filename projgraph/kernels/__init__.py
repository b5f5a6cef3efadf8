"""Training kernels in C for the host: exact integers and float32 over numpy arrays; they know no text and no graph.

This package is the only importer of ``projgraph._kernels``; each module is the typed boundary of one kernel.
"""
