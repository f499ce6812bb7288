"""The result of a population fit: a value that never fits anything."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
import pandas as pd

from pkpd.data import Dataset
from pkpd.language import Model, Problem, bind
from pkpd.results import result

__all__ = ["PopulationFit"]


@result
@dataclass(frozen=True, repr=False)
class PopulationFit:
    """Estimates, uncertainty and individual results of :func:`pkpd.fit`.

    Attributes
    ----------
    model, data, method, seed
        What was fitted to what, and how.
    ofv, minus2ll : float
        Objective as NONMEM reports it (n·log 2π dropped; n counts the Gaussian observations), and -2 log-likelihood.
    n_subjects, n_observations : int
    parameters : DataFrame
        One row per parameter in the schema of :mod:`pkpd.results`: 95 % Wald intervals about the estimate, of variances and SDs
        about its logarithm.
    covariance_matrix : DataFrame
        Of all parameters; zero for fixed ones, NaN where the covariance step failed.
    omega : DataFrame
    individual_estimates : DataFrame
        Empirical Bayes estimates of the etas by ID; ``individual_parameters`` the individual parameters, under the inputs of the
        subject's first record where they vary within it.
    individual_ofv : Series
    predictions, residuals : DataFrame
        One row per observation record.
    eta_shrinkage, eps_shrinkage : Series
        As fractions: 1 - SD(η̂)/ω and 1 - SD(IWRES).
    condition_number : float
        Of the correlation matrix of the estimates.
    minimization_successful : bool
    covariance_status, termination_cause : str
    iterations : DataFrame
        iteration, ofv, gradient (largest component on the optimiser's scale); of SAEM and IMP iteration and all parameters.
    warnings : tuple of str
    individual_estimates_covariance : DataFrame
        Covariance of each subject's etas given its data, by ID and eta: ``.loc[ID]`` is a matrix. The inverse of the Hessian that
        the method takes at the mode.
    conditional_means, conditional_sds : DataFrame or None
        Means and standard deviations of the etas given the records, by ID; of SAEM and IMP only.
    """

    model: Model
    data: Dataset
    method: Any
    seed: int
    ofv: float
    minus2ll: float
    n_subjects: int
    n_observations: int
    parameters: pd.DataFrame
    covariance_matrix: pd.DataFrame
    omega: pd.DataFrame
    individual_estimates: pd.DataFrame
    individual_parameters: pd.DataFrame
    individual_ofv: pd.Series
    predictions: pd.DataFrame
    residuals: pd.DataFrame
    eta_shrinkage: pd.Series
    eps_shrinkage: pd.Series
    condition_number: float
    minimization_successful: bool
    covariance_status: str
    termination_cause: str
    iterations: pd.DataFrame
    warnings: tuple[str, ...]
    problem: Problem = field(repr=False)
    individual_estimates_covariance: pd.DataFrame = field(default_factory=pd.DataFrame)
    conditional_means: pd.DataFrame | None = None
    conditional_sds: pd.DataFrame | None = None

    @property
    def parameter_estimates(self) -> pd.Series:
        """Estimates by name: ``CL``, ``CL(TUMOR=lung)``, ``OMEGA(V,CL)``, ``SD(ADD)``."""
        return self.parameters["estimate"]

    @property
    def standard_errors(self) -> pd.Series:
        """Standard errors by name; NaN for fixed parameters or without a covariance."""
        return self.parameters["se"]

    @property
    def relative_standard_errors(self) -> pd.Series:
        """Standard error over estimate, as a fraction."""
        return self.parameters["rse_percent"] / 100

    def _stored(self) -> dict[str, Any]:
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name != "problem"}

    @classmethod
    def _restored(cls, **stored: Any) -> PopulationFit:
        problem = bind(stored["model"], stored["data"], stored["method"].solver)
        return cls(problem=problem, **stored)

    def fingerprint(self) -> str:
        """Hash of what was fitted to what, how, and of what came out: what is made of the fit is kept under it."""
        from pkpd.store import fingerprint

        found = (self.parameters, self.covariance_matrix, self.individual_estimates)
        return fingerprint(self.model, self.data, self.method, self.seed, *found)

    def to_frame(self) -> pd.DataFrame:
        """Return the parameter table."""
        return self.parameters.copy()

    def shrinkage(self, by: str | None = "histology") -> pd.DataFrame:
        """Shrinkage of all subjects and by group.

        Parameters
        ----------
        by : str or None
            Column of the groups; the data's histology by default, where they have one.

        Returns
        -------
        DataFrame
            Index group (``all`` first), columns subjects, each eta, IWRES; as fractions. That of a group compares the spread of
            its subjects about their own mean with ω, so it is lower where etas differ within the group.
        """
        from pkpd.population.group_shrinkage import group_shrinkage

        return group_shrinkage(self, by)

    def draw(self, n: int, seed: int) -> pd.DataFrame:
        """Draw parameter vectors from the estimates' covariance, on the scale on which they were estimated.

        See :class:`pkpd.distributions.ParameterDistribution`; variances and bounded thetas stay inside their range.

        Raises
        ------
        FitError
            ``E_NO_COVARIANCE`` if the covariance step failed or was not asked for.
        """
        from pkpd.population.estimation_scale import EstimationScale

        return EstimationScale.of(self).draw(n, seed)

    def summary(self) -> str:
        """Text for a person: how the fit ended, the parameter table, shrinkage, warnings."""
        table = self.parameters.copy()
        for column in ("estimate", "se", "lower", "upper"):
            table[column] = [f"{v:.4g}" if np.isfinite(v) else "" for v in table[column]]
        table["rse_percent"] = [f"{v:.1f}" if np.isfinite(v) else "" for v in table["rse_percent"]]
        table["fixed"] = ["fixed" if v else "" for v in table["fixed"]]
        table = table.rename(columns={"rse_percent": "rse %", "lower": "95 % lower", "upper": "95 % upper"})
        shrink = ", ".join(
            f"{k} {100 * v:.1f} %" if np.isfinite(v) else f"{k} unknown"
            for k, v in self.eta_shrinkage.items()
        )
        lines = [
            f"{type(self.method).__name__} fit of {self.model.name}: {self.n_subjects} subjects, "
            f"{self.n_observations} observations",
            f"OFV {self.ofv:.4f}   -2LL {self.minus2ll:.4f}",
            f"Minimisation {'successful' if self.minimization_successful else 'NOT successful'}: {self.termination_cause}",
            f"Covariance: {self.covariance_status}"
            + (
                f"; condition number {self.condition_number:.1f}"
                if np.isfinite(self.condition_number)
                else ""
            ),
            *self._varying(),
            "",
            table.to_string(),
            "",
            f"Eta shrinkage: {shrink or 'no etas'}; epsilon shrinkage {100 * self.eps_shrinkage['IWRES']:.1f} %",
            *self.warnings,
        ]
        return "\n".join(lines)

    def _varying(self) -> list[str]:
        inputs = self.problem.inputs
        if not inputs.names:
            return []
        return [
            f"Varying within subjects: {inputs.describe()}",
            "Individual parameters are those of each subject's first record",
        ]

    def __repr__(self) -> str:
        return self.summary()

    def _repr_html_(self) -> str:
        from html import escape

        head = (
            f"<p>{type(self.method).__name__} fit of <b>{escape(self.model.name)}</b>: OFV {self.ofv:.4f}; "
            f"{escape(self.termination_cause)}</p>"
        )
        notes = "".join(f"<p>{escape(w)}</p>" for w in self.warnings)
        return head + self.parameters.to_html(float_format=lambda v: f"{v:.4g}") + notes
