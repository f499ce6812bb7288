"""Draws of simulated subjects: random effects, residual errors, events and rows of a table, each from streams of its own."""

from __future__ import annotations

import math

import numpy as np

from pkpd._jit import A1, A2, I1, f8, i8, kernel, prange, void
from pkpd.kernels.random import fill_normals, fill_uniforms

# Purposes, apart from those of kernels/random.py.
ETA, RESIDUAL, COVARIATE, EVENT = 101, 102, 103, 104


@kernel(void(i8, i8, i8, A2), parallel=True)
def draw_etas(seed, replicate, first, out):
    """Standard normal numbers (N, eta) of the subjects from ``first`` on."""
    for i in prange(out.shape[0]):
        fill_normals(seed, ETA, first + i, replicate, 0, out[i])


@kernel(void(i8, i8, i8, I1, A1), parallel=True)
def draw_residuals(seed, replicate, first, offsets, out):
    """Standard normal numbers (O,) of the records of the same subjects; those of subject i are ``offsets[i]:offsets[i+1]``."""
    for i in prange(offsets.shape[0] - 1):
        fill_normals(seed, RESIDUAL, first + i, replicate, 0, out[offsets[i] : offsets[i + 1]])


@kernel(void(i8, i8, i8, A1), parallel=True)
def draw_hazards(seed, replicate, endpoint, out):
    """Standard exponential numbers (N,): the cumulative hazard of ``endpoint`` at which each subject has its event."""
    for i in prange(out.shape[0]):
        u = np.empty(1)
        fill_uniforms(seed, EVENT, i, replicate, endpoint, u)
        out[i] = -math.log(u[0])


@kernel(void(i8, i8, i8, f8, I1), parallel=True)
def draw_rows(seed, replicate, first, count, out):
    """A row of a table of ``count`` rows, all equally likely, for each of the same subjects."""
    for i in prange(out.shape[0]):
        u = np.empty(1)
        fill_uniforms(seed, COVARIATE, first + i, replicate, 0, u)
        out[i] = np.int64(u[0] * count)
