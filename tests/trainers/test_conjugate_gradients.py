"""Conjugate gradients against dense solutions, more columns than a block holds, and systems that are not full."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from projgraph.config import ClassicConfig
from projgraph.trainers.conjugate_gradients import conjugate_gradients

TIGHT = ClassicConfig(tolerance=1e-9)


@pytest.fixture(scope="module")
def system():
    generator = np.random.default_rng(0)
    half = generator.normal(size=(30, 30))
    # Badly scaled rows, which the preconditioner evens out.
    scale = np.geomspace(1e-2, 1e2, 30)
    return scale[:, None] * (half @ half.T / 30 + np.eye(30)) * scale, generator.normal(size=(30, 70))


def test_equals_a_dense_solution(system):
    matrix, right = system
    lines: list[str] = []
    solved = conjugate_gradients(sparse.csr_array(matrix), right, TIGHT, "cg", lines.append)
    expected = np.linalg.solve(matrix, right)
    assert solved.dtype == np.float32
    np.testing.assert_allclose(solved, expected, rtol=1e-4, atol=1e-6 * np.abs(expected).max())
    assert len(lines) == 1
    steps = int(lines[0].removeprefix("trainer: cg converged after ").removesuffix(" steps"))
    assert steps <= 60, "thirty in exact arithmetic"


def test_a_column_does_not_see_the_others(system):
    matrix, right = system
    together = conjugate_gradients(sparse.csr_array(matrix), right, TIGHT, "cg")
    alone = conjugate_gradients(sparse.csr_array(matrix), right[:, 3:4], TIGHT, "cg")
    np.testing.assert_allclose(alone, together[:, 3:4], rtol=1e-6)


def test_zeros_on_the_right_are_zeros():
    solved = conjugate_gradients(sparse.csr_array(np.diag([1.0, 2.0])), np.array([[0.0, 2], [0, 2]]), TIGHT, "cg")
    np.testing.assert_allclose(solved, [[0, 2], [0, 1]])


def test_singular_and_consistent():
    # The Laplacian of a triangle; sources sum to zero, and the solution from zero is free of constants.
    laplacian = 3 * np.eye(3) - 1
    right = np.array([[1.0], [-1], [0]])
    solved = conjugate_gradients(sparse.csr_array(laplacian), right, TIGHT, "cg")
    np.testing.assert_allclose(solved, right / 3, atol=1e-6)


def test_steps_run_out(system):
    matrix, right = system
    lines: list[str] = []
    config = ClassicConfig(tolerance=1e-9, max_steps=1)
    conjugate_gradients(sparse.csr_array(matrix), right, config, "cg", lines.append)
    assert lines[0].startswith("trainer: cg stopped at max_steps=1 with a change of ")
