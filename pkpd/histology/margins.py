"""What was declared meaningful before the data were seen."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from pkpd.errors import InputError
from pkpd.results import result

__all__ = ["DEFAULT_BOUNDS", "Margins"]

# bioequivalence bounds (Schuirmann 1987; ICH M13A): the only bounds that need no argument of their own
DEFAULT_BOUNDS = (0.80, 1.25)
# beyond a factor of two no exposure ratio passes as "no effect", whatever the exposure-response says
WIDEST_BOUNDS = (0.5, 2.0)


@result
@dataclass(frozen=True)
class Margins:
    """Declared margins and thresholds of the decision table.

    The clinical margins have no defaults: a result that depends on them must be able to say who chose them.

    Parameters
    ----------
    bounds : tuple of float
        No-effect bounds (L, U) of the exposure ratio, 0.5 ≤ L < 1 < U ≤ 2.
    delta_efficacy, delta_safety : float
        Largest acceptable loss of response probability and gain of adverse-event probability, as fractions
        (0.15 = 15 percentage points).
    p0 : dict of str to float
        Response probability below which the drug is not worth giving, per histology (the reference needs
        none).
    candidate_doses : tuple of float
        Doses that can be given (strengths), in the unit of the data.
    reference_dose : float
        The planned dose that every histology would share; must be one of the candidates.
    bounds_source : str
        Where bounds other than 0.80-1.25 come from. Only a randomised dose comparison may move them.
    threshold_conclude : float
        Probability from which a difference counts as shown (and exposure as equivalent); 0.90.
    threshold_keep : float
        Probability from which effect and safety count as kept; 0.80.
    minimum_n : int
        Fewest evaluable patients (PK, response, adverse event) for any conclusion; 10.
    small_n : int
        Below this many patients a conclusion carries ``SMALL-N``; 30 (at an exposure CV of 40 %, 30 patients
        give 80 % power for bounds of 0.80-1.25).
    shrinkage_limit : float
        Shrinkage above which a conclusion carries ``HIGH-SHRINKAGE``; 0.25.
    extrapolation_limit : float
        No dose above this multiple of the highest studied dose is proposed; 1.5.
    delta_safety_overrides : dict of str to float
        Histologies with a margin of their own, e.g. 0.05 for hepatic events in hepatocellular carcinoma.
    dose_unit : str
        Unit of the doses, for the sentences.
    p0_source : dict of str to str
        Where each p0 comes from; printed with an exclusion.

    Raises
    ------
    InputError
        ``E_MARGIN_BOUNDS``, ``E_MARGIN_BOUNDS_SOURCE``, ``E_MARGIN_DELTA``, ``E_MARGIN_P0``,
        ``E_MARGIN_DOSES``, ``E_MARGIN_THRESHOLD``: a margin that is missing, zero, reversed or out of range.
    """

    bounds: tuple[float, float]
    delta_efficacy: float
    delta_safety: float
    p0: dict[str, float]
    candidate_doses: tuple[float, ...]
    reference_dose: float
    bounds_source: str = ""
    threshold_conclude: float = 0.90
    threshold_keep: float = 0.80
    minimum_n: int = 10
    small_n: int = 30
    shrinkage_limit: float = 0.25
    extrapolation_limit: float = 1.5
    delta_safety_overrides: dict[str, float] = field(default_factory=dict)
    p0_source: dict[str, str] = field(default_factory=dict)
    dose_unit: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "bounds", tuple(float(b) for b in self.bounds))
        object.__setattr__(self, "candidate_doses", tuple(sorted(float(d) for d in self.candidate_doses)))
        object.__setattr__(self, "reference_dose", float(self.reference_dose))
        self._check_bounds()
        deltas = {"delta_efficacy": self.delta_efficacy, "delta_safety": self.delta_safety}
        deltas.update({f"delta_safety of histology {h!r}": v for h, v in self.delta_safety_overrides.items()})
        for name, value in deltas.items():
            if not 0 < value < 1:
                raise InputError(
                    "E_MARGIN_DELTA",
                    f"{name} is {value!r}; it must lie strictly between 0 and 1.",
                    "Give a fraction: 15 percentage points are 0.15.",
                )
        if not isinstance(self.p0, Mapping):
            raise InputError(
                "E_MARGIN_P0", f"p0 is {self.p0!r}.", "Give one response rate per histology: {'lung': 0.20}."
            )
        for histology, value in self.p0.items():
            if not 0 < value < 1:
                raise InputError(
                    "E_MARGIN_P0",
                    f"p0 of histology {histology!r} is {value!r}; it must lie strictly between 0 and 1.",
                    "Give the response rate as a fraction: 20 % is 0.20.",
                )
        self._check_doses()
        if not (0.5 < self.threshold_keep < 1 and 0.5 < self.threshold_conclude < 1):
            raise InputError(
                "E_MARGIN_THRESHOLD",
                f"thresholds {self.threshold_conclude!r} and {self.threshold_keep!r} must lie in (0.5, 1).",
                "Use 0.90 and 0.80, or stricter.",
            )
        if self.minimum_n < 2:
            raise InputError(
                "E_MARGIN_THRESHOLD", f"minimum_n is {self.minimum_n!r}; it must be 2 or more.", "Use 10."
            )

    def _check_bounds(self) -> None:
        if len(self.bounds) != 2 or not self.bounds[0] < 1 < self.bounds[1]:
            raise InputError(
                "E_MARGIN_BOUNDS",
                f"bounds {self.bounds!r} of the exposure ratio must be (L, U) with L < 1 < U.",
                "Use (0.80, 1.25) unless a randomised dose comparison supports other bounds.",
            )
        low, high = self.bounds
        if low < WIDEST_BOUNDS[0] or high > WIDEST_BOUNDS[1]:
            raise InputError(
                "E_MARGIN_BOUNDS",
                f"bounds {self.bounds!r} are wider than {WIDEST_BOUNDS}.",
                "No exposure-response supports bounds beyond 0.5-2.0.",
            )
        if self.bounds != DEFAULT_BOUNDS and not self.bounds_source:
            raise InputError(
                "E_MARGIN_BOUNDS_SOURCE",
                f"bounds {self.bounds!r} differ from 0.80-1.25 and no source is given.",
                "Name the randomised dose comparison in bounds_source; observational exposure-response "
                "never moves the bounds.",
            )

    def _check_doses(self) -> None:
        doses = self.candidate_doses
        if not doses or not all(math.isfinite(d) and d > 0 for d in doses) or len(set(doses)) < len(doses):
            raise InputError(
                "E_MARGIN_DOSES",
                f"candidate doses {doses!r} must be distinct positive numbers.",
                "List the strengths that can be given.",
            )
        if self.reference_dose not in doses:
            raise InputError(
                "E_MARGIN_DOSES",
                f"the reference dose {self.reference_dose:g} is not among the candidate doses {doses!r}.",
                "Add it to the candidate doses.",
            )

    def delta_safety_of(self, histology: str) -> float:
        """The safety margin that applies to `histology`."""
        return float(self.delta_safety_overrides.get(histology, self.delta_safety))

    def p0_of(self, histology: str) -> float:
        """The declared p0 of `histology`.

        Raises
        ------
        InputError
            ``E_MARGIN_P0`` if none was declared.
        """
        if histology not in self.p0:
            raise InputError(
                "E_MARGIN_P0",
                f"no p0 is declared for histology {histology!r}.",
                "Declare the response rate below which the drug is not worth giving there, with its source.",
            )
        return float(self.p0[histology])
