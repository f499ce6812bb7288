"""``[characteristics]`` and ``[[scenario]]``: under which truths a plan asks how often its decision table errs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pkpd.results import result
from pkpd.study.scenarios import Scenario
from pkpd.study.schema import integer, key, number, table, text

__all__ = ["CharacteristicsPlan", "ScenarioPlan"]

_probabilities = table(number(0, 1))


@result
@dataclass(frozen=True)
class CharacteristicsPlan:
    """``[characteristics]``: how precisely the operating characteristics are simulated.

    Attributes
    ----------
    n : int
        Simulated trials per scenario.
    draws : int
        Draws of the coefficients of each exposure-response fit.
    """

    n: int = key(integer(2, 1_000_000), 200)
    draws: int = key(integer(100, 1_000_000), 1000)


@result
@dataclass(frozen=True)
class ScenarioPlan:
    """``[[scenario]]``: a truth under which trials of the study's own size are simulated.

    Attributes
    ----------
    name : str
        Words for the report.
    response, ae : dict
        Probability by histology at equal exposure: the reference histology's median at the reference dose. A histology that
        is not named is like the reference, which must be named.
    cv : float
        Coefficient of variation of exposure between the patients of a histology, as a fraction.
    response_slope, ae_slope : float
        Change of the logit per unit of log exposure.
    ratio : dict or None
        Exposure relative to the reference histology at the same dose, where it is not 1.
    """

    name: str = key(text)
    response: Mapping[str, float] = key(_probabilities)
    ae: Mapping[str, float] = key(_probabilities)
    cv: float = key(number(0, 3))
    response_slope: float = key(number())
    ae_slope: float = key(number())
    ratio: Mapping[str, float] | None = key(table(number(0)), None)

    def truth(self) -> Scenario:
        """The scenario itself."""
        return Scenario(
            self.name,
            dict(self.response),
            dict(self.ae),
            self.cv,
            self.response_slope,
            self.ae_slope,
            dict(self.ratio or {}),
        )
