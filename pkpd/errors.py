"""Exceptions, warnings and findings: each carries a stable code and says what to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = [
    "DataError",
    "Finding",
    "FitError",
    "FitInterrupted",
    "InputError",
    "ModelError",
    "PkpdError",
    "PkpdWarning",
    "PlanError",
]


class PkpdError(Exception):
    """Base of every error that pkpd raises on purpose.

    Parameters
    ----------
    code : str
        Stable identifier, e.g. ``"E_TIME_NOT_INCREASING"``.
    message : str
        What is wrong, with subject, row, column and value where they apply.
    remedy : str
        What the user can do about it.
    """

    def __init__(self, code: str, message: str, remedy: str = "") -> None:
        self.code, self.message, self.remedy = code, message, remedy
        super().__init__(f"{code}: {message}" + (f" Remedy: {remedy}" if remedy else ""))

    def __reduce__(self):
        return type(self), (self.code, self.message, self.remedy)


class InputError(PkpdError):
    """An argument or file that cannot be used; the command line exits with 2."""


class ModelError(InputError):
    """A model that is not well formed, or does not fit the data it is bound to."""


class PlanError(InputError):
    """An analysis plan that cannot be run."""


class FitError(PkpdError):
    """An estimation that could not be carried out; the command line exits with 1."""


class FitInterrupted(KeyboardInterrupt):
    """Ctrl-C during a fit.

    Attributes
    ----------
    fit : PopulationFit
        The best point so far, as a fit that did not converge and has no covariance.
    """

    def __init__(self, fit: Any) -> None:
        super().__init__("the fit was interrupted; .fit holds its best point so far")
        self.fit = fit

    def __reduce__(self):
        return type(self), (self.fit,)


class PkpdWarning(UserWarning):
    """Something that a careful reader must know; the text begins with its ``W_`` code."""


@dataclass(frozen=True)
class Finding:
    """One observation of the data linter.

    Attributes
    ----------
    code : str
        Stable identifier; ``E_`` findings make a data set unusable, ``W_`` findings do not.
    message : str
        What is wrong.
    remedy : str
        What to do.
    row : int or None
        Line in the file, the header being line 1; for a DataFrame its position plus 2.
    subject, column, value : Any
        Where it is; None where it does not apply.
    """

    code: str
    message: str
    remedy: str = ""
    row: int | None = None
    subject: Any = None
    column: str | None = None
    value: Any = None

    @property
    def is_error(self) -> bool:
        """Whether the data set cannot be used until this is mended."""
        return self.code.startswith("E_")

    def __str__(self) -> str:
        named = [("row", self.row), ("ID", self.subject), ("column", self.column), ("value", self.value)]
        where = ", ".join(f"{name} {value}" for name, value in named if value is not None)
        text = f"{self.code}: " + (f"{where}: " if where else "") + self.message
        return text + (f" Remedy: {self.remedy}" if self.remedy else "")


class DataError(InputError):
    """A data set with at least one error.

    Parameters
    ----------
    findings : list of Finding
        All errors, in file order; the message shows the first ten.
    """

    def __init__(self, findings: list[Finding]) -> None:
        self.findings = list(findings)
        first = self.findings[0]
        shown = "\n".join(str(f) for f in self.findings[:10])
        hidden = len(self.findings) - 10
        if hidden > 0:
            shown += f"\n... and {hidden} more; pkpd.check(...) lists them all"
        super().__init__(first.code, shown, "")
        self.args = (shown,)

    def __reduce__(self):
        return type(self), (self.findings,)
