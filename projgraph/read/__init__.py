"""Readers: files become records; nothing here knows what is done with a row."""

from projgraph.read.dataset import EXTENSIONS, FORMATS, merge, read_dataset, read_texts
from projgraph.read.idx import read_idx, read_idx_images
from projgraph.read.protocol import few_labels, short_classes

__all__ = [
    "EXTENSIONS",
    "FORMATS",
    "few_labels",
    "merge",
    "read_dataset",
    "read_idx",
    "read_idx_images",
    "read_texts",
    "short_classes",
]
