"""Features as the inputs of a network, held sparse where most are zero: a bag of words costs its words, no more."""

from __future__ import annotations

import warnings

import numpy as np
import torch
from scipy import sparse
from torch import Tensor, nn

from projgraph.records import FloatArray

_SPARSE_BELOW = 0.1
"""Share of non-zero values; a sparse product of a denser matrix is slower than a dense one."""


def sparse_tensor(matrix: sparse.csr_array) -> Tensor:
    """A scipy matrix as a PyTorch CSR tensor that shares its values."""
    with warnings.catch_warnings():
        # PyTorch calls every CSR tensor beta, once a process; products with a dense matrix are all that we use.
        warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta state")
        return torch.sparse_csr_tensor(
            torch.from_numpy(matrix.indptr.astype(np.int64)),
            torch.from_numpy(matrix.indices.astype(np.int64)),
            torch.from_numpy(matrix.data.astype(np.float32, copy=False)),
            matrix.shape,
            check_invariants=False,
        )


class Inputs(nn.Module):
    """Gives the (n, d) features, under dropout while training; sparse features as a CSR tensor."""

    def __init__(self, features: FloatArray, dropout: float) -> None:
        super().__init__()
        self._dropout = dropout
        dense = np.count_nonzero(features) >= _SPARSE_BELOW * features.size
        # Not buffers: the features are no part of what is learned and saved.
        self._features = (
            torch.from_numpy(np.ascontiguousarray(features)) if dense else sparse_tensor(sparse.csr_array(features))
        )

    def forward(self) -> Tensor:
        """(n, d) features of all nodes."""
        features = self._features
        if not self.training or self._dropout == 0:
            return features
        if features.layout == torch.strided:
            return nn.functional.dropout(features, self._dropout)
        values = nn.functional.dropout(features.values(), self._dropout)
        return torch.sparse_csr_tensor(
            features.crow_indices(), features.col_indices(), values, features.shape, check_invariants=False
        )


class InputLinear(nn.Module):
    """x W + b of dense or CSR x; Glorot & Bengio 2010 starts W, zero b.

    Args:
        inputs: d.
        outputs: columns of the result.
        bias: whether there is b.
    """

    def __init__(self, inputs: int, outputs: int, bias: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(nn.init.xavier_uniform_(torch.empty(inputs, outputs)))
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        """(n, outputs) x W + b."""
        product = x @ self.weight
        return product if self.bias is None else product + self.bias
