"""Linear mixed models, for which likelihood, maximum, information and posterior are exact: judges of the sampling methods."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
from scipy import optimize

import pkpd


def quietly(function, *arguments, **named):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", pkpd.PkpdWarning)
        return function(*arguments, **named)


def data(subjects=40, records=5, seed=1, spread=1.0, noise=0.5, slope=0.3, effect=0.4, first=0.0):
    """Y = 5 + effect·(WT - 70)/10 + η + slope·TIME + ε."""
    random = np.random.default_rng(seed)
    wt = random.uniform(50, 90, subjects)
    eta = random.normal(0, spread, subjects)
    time = first + np.tile(np.arange(records, dtype=float), subjects)
    who = np.repeat(np.arange(subjects), records)
    y = 5 + effect * (wt[who] - 70) / 10 + eta[who] + slope * time + random.normal(0, noise, len(who))
    frame = pd.DataFrame(
        {"ID": who + 1, "TIME": time, "EVID": 0, "MDV": 0, "AMT": 0.0, "DV": y, "WT": wt[who]}
    )
    return quietly(pkpd.read_dataset, frame)


@pkpd.model
def line(m):
    """A random intercept that depends on weight, and a slope without a random effect."""
    wt = m.covariate("WT")
    a = m.parameter("A", m.theta("A", 3.0) + m.theta("WT_A", 0.1) * (wt - 70) / 10 + m.eta("A", variance=0.5))
    m.observe("y", a + m.theta("B", 0.1) * m.time, additive=m.sigma("ADD", 1.0))


NAMES = ["A", "WT_A", "B", "OMEGA(A,A)", "SD(ADD)"]


class Exact:
    """-2 log-likelihood of :func:`line`, by its multivariate normal density."""

    def __init__(self, dataset):
        f = dataset.frame
        self.y = f["DV"].to_numpy(float).reshape(dataset.n_subjects, -1)
        self.t = f["TIME"].to_numpy(float).reshape(dataset.n_subjects, -1)
        self.x = (f["WT"].to_numpy(float).reshape(dataset.n_subjects, -1) - 70) / 10

    def each(self, p):
        a, b, c, variance, sd = p
        n = self.y.shape[1]
        v = variance * np.ones((n, n)) + sd**2 * np.eye(n)
        rest = self.y - a - b * self.x - c * self.t
        return np.einsum("ij,jk,ik->i", rest, np.linalg.inv(v), rest) + np.linalg.slogdet(v)[1]

    def __call__(self, p):
        """Without n·log 2π, as OFV."""
        return float(self.each(p).sum())

    def maximum(self):
        found = optimize.minimize(
            lambda z: self([*z[:3], np.exp(z[3]), np.exp(z[4])]),
            [5, 0.4, 0.3, 0, -0.7],
            method="BFGS",
            tol=1e-9,
        )
        return np.array([*found.x[:3], np.exp(found.x[3]), np.exp(found.x[4])])

    def standard_errors(self, p):
        """Of the inverse Hessian of -log L, by differences of differences."""
        h = 1e-4 * np.maximum(np.abs(p), 0.1)
        hessian = np.zeros((len(p), len(p)))
        for i in range(len(p)):
            for j in range(len(p)):
                for si, sj in ((1, 1), (1, -1), (-1, 1), (-1, -1)):
                    q = np.array(p, dtype=float)
                    q[i] += si * h[i]
                    q[j] += sj * h[j]
                    hessian[i, j] += si * sj * self(q) / (4 * h[i] * h[j])
        return np.sqrt(np.diag(np.linalg.inv(0.5 * hessian)))

    def posterior(self, p):
        """Mean and SD of η of each subject."""
        a, b, c, variance, sd = p
        n = self.y.shape[1]
        rest = (self.y - a - b * self.x - c * self.t).mean(axis=1)
        precision = 1 / variance + n / sd**2
        return rest * (n / sd**2) / precision, np.full(len(rest), precision**-0.5)
