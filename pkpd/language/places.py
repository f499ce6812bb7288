"""Places that doses go to: a compartment, or a compartment under the inputs of some dose records.

Where a lag, bioavailability, duration or rate depends on inputs that vary within a subject, each distinct combination of them
among a subject's doses into that compartment is a place of its own, with its own slots. Places are counted within subjects:
the third place of a subject is its third combination, whose inputs are numbers of that subject like any covariate.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pkpd.errors import InputError
from pkpd.language.records import Doses

__all__ = ["Places", "find_places"]


@dataclass(frozen=True)
class Places:
    """Places besides the n compartments.

    Attributes
    ----------
    compartment : tuple of int
        Of each further place.
    dependent : mapping of int to tuple of int
        By compartment, the inputs that its event properties depend on.
    values : (N, places, W) array
        Inputs of each further place.
    of_doses : (D,) int array
        Place of each dose; below n it is the compartment.
    """

    compartment: tuple[int, ...]
    dependent: Mapping[int, tuple[int, ...]]
    values: np.ndarray
    of_doses: np.ndarray

    def matched(self, n: int, doses: Doses, inputs: np.ndarray) -> np.ndarray:
        """Places of other doses (D,) of the same subjects, whose inputs are (D, W).

        Raises
        ------
        InputError
            ``E_DOSE_INPUTS`` for a dose under inputs that no dose of the data had.
        """
        out = doses.compartment.copy()
        owner = np.repeat(np.arange(len(doses.offsets) - 1), np.diff(doses.offsets))
        for d in np.flatnonzero(np.isin(doses.compartment, list(self.dependent)) & (doses.kind < 3)):
            which = list(self.dependent[int(doses.compartment[d])])
            fits = [
                k
                for k, c in enumerate(self.compartment)
                if c == doses.compartment[d]
                and np.array_equal(self.values[owner[d], k, which], inputs[d, which])
            ]
            if not fits:
                raise InputError(
                    "E_DOSE_INPUTS",
                    f"a dose at time {doses.time[d]:g} needs a lag, bioavailability, duration or rate under time-varying inputs "
                    "that no dose of the data had.",
                    "Give the doses as records of a data set.",
                )
            out[d] = n + fits[0]
        return out


def find_places(
    n: int, doses: Doses, inputs: np.ndarray, first: np.ndarray, dependent: Mapping[int, tuple[int, ...]]
) -> Places:
    """Number the combinations of inputs.

    Parameters
    ----------
    n : int
        Compartments.
    doses : Doses
    inputs : (D, W) array
        Of each dose.
    first : (N, W) array
        Of each subject's first record: what a place holds that a subject does not use.
    dependent : mapping of int to tuple of int
    """
    subjects = len(doses.offsets) - 1
    found: dict[int, list[dict[tuple[float, ...], int]]] = {
        c: [{} for _ in range(subjects)] for c in dependent
    }
    where: list[tuple[int, int, int, int]] = []  # dose, subject, compartment, number of its combination
    for i in range(subjects):
        for d in range(doses.offsets[i], doses.offsets[i + 1]):
            c = int(doses.compartment[d])
            if c in dependent and doses.kind[d] < 3:
                key = tuple(inputs[d, list(dependent[c])].tolist())
                where.append((d, i, c, found[c][i].setdefault(key, len(found[c][i]))))
    most = {c: max((len(k) for k in found[c]), default=0) for c in dependent}
    start: dict[int, int] = {}
    compartment: list[int] = []
    for c in dependent:
        start[c] = len(compartment)
        compartment += [c] * most[c]
    of_doses = doses.compartment.copy()
    values = np.repeat(first[:, None, :], len(compartment), axis=1)
    for d, i, c, number in where:
        values[i, start[c] + number] = inputs[d]
        of_doses[d] = n + start[c] + number
    return Places(tuple(compartment), dict(dependent), values, of_doses)
