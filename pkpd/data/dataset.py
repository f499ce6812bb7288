"""A validated data set: records in file order, subjects as slices of them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from pkpd.data.imputation import completed_columns
from pkpd.data.ledger import names
from pkpd.data.table import column_of, content_hash
from pkpd.data.units import conversion_factor
from pkpd.errors import InputError
from pkpd.results import result

__all__ = ["RECORD_COLUMNS", "Dataset", "nearest_of", "text_or_number"]

# Columns that every data set has, in this order; covariates and histology follow.
RECORD_COLUMNS = (
    *("ROW", "ID", "TIME", "EVID", "MDV", "AMT", "RATE", "II", "ADDL", "CMT", "DVID", "DV"),
    *("SS", "CENS", "LIMIT", "LLOQ"),
)


@result
@dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """Validated records of all subjects.

    Made by :func:`pkpd.read_dataset`; the constructor checks nothing.

    Attributes
    ----------
    frame : DataFrame
        One row per record in file order. ROW (line in the file), ID, TIME, EVID, MDV, AMT, RATE, II, ADDL,
        CMT (NaN: the model's default; names where the file has names), DVID (names likewise, None on a dose), DV (NaN where
        missing), SS, CENS, LIMIT, LLOQ (NaN where not given), then covariates (numbers or text) and histology (text).
    subjects : ndarray, shape (n_subjects,)
        ID labels in file order, int64 or text.
    offsets : ndarray of int64, shape (n_subjects + 1,)
        Records of subject i are ``frame[offsets[i]:offsets[i + 1]]``.
    covariates : tuple of str
        Covariate columns in file order, without the histology.
    histology : str or None
        Name of the histology column.
    units : dict of str to str
        Units as the user gave them, by column.
    source : str
        File name or ``"DataFrame"``.
    sha256 : str
        Of the bytes of the file, or of the content of the DataFrame.
    """

    frame: pd.DataFrame
    subjects: np.ndarray
    offsets: np.ndarray
    covariates: tuple[str, ...]
    histology: str | None
    units: dict[str, str]
    source: str
    sha256: str

    @property
    def n_subjects(self) -> int:
        """Number of subjects."""
        return len(self.subjects)

    @property
    def n_observations(self) -> int:
        """Number of records with EVID 0 and MDV 0."""
        return int(self._observed.sum())

    @property
    def n_doses(self) -> int:
        """Number of doses given, additional ones (ADDL) included."""
        return len(self.given_doses()[0])

    @property
    def _observed(self) -> np.ndarray:
        return ((self.frame["EVID"] == 0) & (self.frame["MDV"] == 0)).to_numpy()

    def given_doses(self) -> tuple[np.ndarray, np.ndarray]:
        """Doses in the order of their records, additional ones (ADDL) written out.

        As in the solver, a reset cancels the additional doses of records before it.

        Returns
        -------
        row : ndarray of int64, shape (doses,)
            Record, from 0; the dose of the record itself comes before its additional ones.
        time : ndarray, shape (doses,)
        """
        frame, evid = self.frame, self.frame["EVID"].to_numpy()
        time = frame["TIME"].to_numpy(float)
        given = np.where(np.isin(evid, (1, 4)), frame["ADDL"].to_numpy() + 1, 0)
        row = np.repeat(np.arange(len(frame)), given)
        step = np.arange(len(row)) - np.repeat(np.cumsum(given) - given, given)
        at = self.on_records(row, time[row] + step * frame["II"].to_numpy(float)[row])
        # the first reset after the record, if it is of the same subject
        resets = np.append(np.flatnonzero(np.isin(evid, (3, 4))), len(frame))
        reset = resets[np.searchsorted(resets, row, side="right")]
        ends = self.offsets[np.searchsorted(self.offsets, row, side="right")]
        until = np.append(time, np.inf)[np.where(reset < ends, reset, len(frame))]
        kept = (step == 0) | (at < until)
        return row[kept], at[kept]

    def on_records(self, row: np.ndarray, time: np.ndarray) -> np.ndarray:
        """Times of doses of the records ``row`` (ascending), those that a record's time equals but for rounding being that time.

        2.24 + 24 is more than 26.24: whether a sample at 26.24 sees that dose would else be a matter of the last bit.
        """
        own, out = self.frame["TIME"].to_numpy(float), np.array(time, dtype=float)
        first = np.searchsorted(row, self.offsets)
        for i in np.unique(np.searchsorted(self.offsets, row[out != own[row]], side="right") - 1):
            mine = slice(first[i], first[i + 1])
            out[mine] = nearest_of(out[mine], own[self.offsets[i] : self.offsets[i + 1]])
        return out

    def subject_table(self) -> pd.DataFrame:
        """First value of each covariate, and the histology, per subject.

        Returns
        -------
        DataFrame
            Index ID in file order; columns covariates, then histology.
        """
        columns = [*self.covariates, *([self.histology] if self.histology else [])]
        table = self.frame[columns].iloc[self.offsets[:-1]]
        table.index = pd.Index(self.subjects, name="ID")
        return table

    def summary(self) -> pd.DataFrame:
        """Size of the data set per histology.

        Returns
        -------
        DataFrame
            Index histology in order of appearance, or the one row ``all`` without histologies; columns
            subjects, observations, blq (those of them that are censored), doses (additional ones included), rows.
        """
        first = np.zeros(len(self.frame), dtype=np.int64)
        first[self.offsets[:-1]] = 1
        counts = pd.DataFrame(
            {
                "subjects": first,
                "observations": self._observed.astype(np.int64),
                "blq": (self._observed & (self.frame["CENS"] != 0)).astype(np.int64),
                "doses": np.bincount(self.given_doses()[0], minlength=len(self.frame)),
                "rows": np.ones(len(self.frame), dtype=np.int64),
            }
        )
        if self.histology is None:
            return pd.DataFrame([counts.sum()], index=pd.Index(["all"], name="histology"))
        table = counts.groupby(self.frame[self.histology].to_numpy(), sort=False).sum()
        return table.rename_axis(index="histology")

    def time_after_dose(self) -> np.ndarray:
        """Time since the last dose, additional doses (ADDL) included but for those that a reset cancels.

        At equal times the order of the records decides, and an additional dose comes before what follows its
        record, as in the solver.

        Returns
        -------
        ndarray, shape (n_records,)
            In the unit of TIME; 0 on dose records, NaN before the first dose.
        """
        n, owner = len(self.frame), np.repeat(np.arange(self.n_subjects), np.diff(self.offsets))
        time = self.frame["TIME"].to_numpy()
        source, dosed = self.given_doses()
        # doses first, so that a dose comes before the record that holds it
        who, when = np.concatenate([owner[source], owner]), np.concatenate([dosed, time])
        place, is_dose = np.concatenate([source, np.arange(n)]), np.arange(len(source) + n) < len(source)
        order = np.lexsort((~is_dose, place, when, who))
        last = pd.Series(np.where(is_dose, when, np.nan)[order]).groupby(who[order]).ffill().to_numpy()
        found = np.empty(len(order))
        found[order] = last
        return time - found[len(source) :]

    def require_unit(self, column: str, unit: str, wanted_by: str) -> None:
        """Refuse a column whose declared unit is not the one that is wanted.

        Nothing is refused where no unit was declared, or where one of the two is not a unit that pkpd knows.

        Parameters
        ----------
        column : str
        unit : str
            E.g. ``"mg/L"``; empty if whoever asks does not say.
        wanted_by : str
            Who asks, for the message: ``"model warfarin"``.

        Raises
        ------
        InputError
            ``E_UNIT_MISMATCH`` with the factor that is missing, ``E_UNIT_KIND`` if the two measure different
            things.
        """
        given = self.units.get(column, "")
        if not given or not unit:
            return
        try:
            factor = conversion_factor(given, unit)
        except InputError as error:
            raise InputError(
                error.code, f"column {column} is in {given}, {wanted_by} takes {unit}.", error.remedy
            ) from None
        if factor is not None and abs(factor - 1) > 1e-9:
            raise InputError(
                "E_UNIT_MISMATCH",
                f"column {column} is in {given}, {wanted_by} takes {unit}: numbers are off by a factor {factor:g}.",
                f"Multiply the column by {factor:g}, or declare the unit that it has.",
            )

    def select(self, subjects: Sequence[Any], ids: Sequence[Any] | None = None) -> Dataset:
        """Take some subjects, in the order given, some perhaps several times.

        Parameters
        ----------
        subjects : sequence
            ID labels. A label that comes again makes a further subject with the same records.
        ids : sequence, optional
            New ID of each. By default subjects keep their ID; if one is repeated, the further ones get the
            next whole numbers above the largest ID, or ``"label#2"``, ``"label#3"`` … where IDs are text.

        Returns
        -------
        Dataset
            ROW still names the line in the file.

        Raises
        ------
        InputError
            ``E_UNKNOWN_ID`` for a label that is not there, ``E_IDS`` if ``ids`` do not fit or repeat.
        """
        own = self.subjects.tolist()
        place = {str(label): i for i, label in enumerate(own)}
        wanted = [_as_written(x) for x in np.asarray(subjects).tolist()]
        unknown = [x for x in wanted if x not in place]
        if unknown or not wanted:
            raise InputError(
                "E_UNKNOWN_ID",
                f"no subject {names(unknown)} in {self.source}." if wanted else "no subject is selected.",
                f"Its subjects are {names(own, 10)}.",
            )
        chosen = np.array([place[x] for x in wanted])
        labels = [own[i] for i in chosen]
        new = self._relabelled(labels) if ids is None else list(ids)
        if len(new) != len(labels) or len(set(new)) != len(new):
            raise InputError(
                "E_IDS",
                f"{len(labels)} subjects are selected, ids has {len(set(new))} different labels.",
                "Give one new ID per selected subject.",
            )
        sizes = np.diff(self.offsets)[chosen]
        offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        within = np.arange(offsets[-1]) - np.repeat(offsets[:-1], sizes)
        frame = self.frame.iloc[np.repeat(self.offsets[chosen], sizes) + within].reset_index(drop=True)
        whole = all(isinstance(x, (int, np.integer)) and not isinstance(x, bool) for x in new)
        fresh = np.array(new if whole else [str(x) for x in new], dtype=np.int64 if whole else object)
        frame["ID"] = np.repeat(fresh, sizes)
        return self._with(frame=frame, subjects=fresh, offsets=offsets)

    def _relabelled(self, labels: list[Any]) -> list[Any]:
        if len(set(labels)) == len(labels):
            return labels
        seen: dict[Any, int] = {}
        taken = set(self.subjects.tolist())
        following = (max(taken) if self.subjects.dtype.kind == "i" else 0) + 1
        out: list[Any] = []
        for label in labels:
            seen[label] = seen.get(label, 0) + 1
            if seen[label] == 1:
                out.append(label)
            elif self.subjects.dtype.kind == "i":
                out.append(following)
                following += 1
            else:
                number = seen[label]
                while f"{label}#{number}" in taken:
                    number += 1
                taken.add(f"{label}#{number}")
                out.append(f"{label}#{number}")
        return out

    def with_columns(self, table: pd.DataFrame) -> Dataset:
        """Add covariates that are constant within the subject.

        Parameters
        ----------
        table : DataFrame
            Index ID, one row per subject (further subjects are left aside), one column per new covariate.

        Returns
        -------
        Dataset

        Raises
        ------
        InputError
            ``E_TABLE_IDS`` if a subject has no row or two, ``E_COLUMN_EXISTS`` for a name that is taken,
            ``E_NOT_FINITE`` for an infinite value.
        """
        index = table.index
        if index.has_duplicates:
            twice = index[index.duplicated()].unique().tolist()
            raise InputError(
                "E_TABLE_IDS",
                f"the table has more than one row for ID {names(twice)}.",
                "Give one row per subject.",
            )
        places = index.get_indexer(pd.Index(self.subjects))
        if (places < 0).any():
            absent = self.subjects[places < 0].tolist()
            raise InputError(
                "E_TABLE_IDS",
                f"the table has no row for ID {names(absent)} ({len(absent)} of {self.n_subjects} subjects).",
                'Index it by ID, with the labels of the data set: table.set_index("ID").',
            )
        taken = [c for c in table.columns if c in self.frame.columns]
        if taken:
            raise InputError(
                "E_COLUMN_EXISTS",
                f"the data set already has {names(taken)}.",
                "Give the new columns other names.",
            )
        frame = self.frame.copy()
        rows = np.repeat(places, np.diff(self.offsets))
        for name in table.columns:
            values = text_or_number(column_of(table[name]))
            if values.dtype == np.float64 and np.isinf(values).any():
                raise InputError(
                    "E_NOT_FINITE",
                    f"column {name} of the table is infinite for a subject.",
                    "Leave it empty (NaN).",
                )
            frame[name] = pd.Series(values).iloc[rows].to_numpy(dtype=values.dtype)
        return self._with(frame=frame, covariates=(*self.covariates, *[str(c) for c in table.columns]))

    def imputed(self, **rules: str) -> Dataset:
        """Give the subjects without a value of a covariate one by a stated rule.

        Parameters
        ----------
        **rules
            By covariate ``"median"`` (of the subjects' first values) or ``"mode"``: ``data.imputed(WT="median", SEX="mode")``.

        Returns
        -------
        Dataset
            With a covariate ``WT_IMPUTED`` for each: 1 for the subjects that had no value, which a warning
            (``W_COVARIATE_IMPUTED``) names. A value that is missing on some records of a subject is none of this method's
            business: a model carries the others there.

        Raises
        ------
        InputError
            ``E_IMPUTE_COLUMN``, ``E_IMPUTE_RULE`` (also for multiple imputation, which is not supported),
            ``E_COLUMN_EXISTS``.
        """
        frame, flags = completed_columns(self, rules)
        return self._with(frame=frame, covariates=(*self.covariates, *flags))

    def fingerprint(self) -> str:
        """SHA-256 of the records and of what their columns are, wherever they were read from."""
        content = content_hash({str(c): column_of(self.frame[c]) for c in self.frame.columns})
        said = (self.subjects.tolist(), self.covariates, self.histology, sorted(self.units.items()))
        return hashlib.sha256(f"{content} {said!r}".encode()).hexdigest()

    def _with(self, **changes: Any) -> Dataset:
        frame = changes["frame"]
        content = content_hash({str(c): column_of(frame[c]) for c in frame.columns})
        return replace(self, **changes, sha256=content)

    def __repr__(self) -> str:
        text = (
            f"Dataset {self.source}: {self.n_subjects} subjects, {self.n_observations} observations, "
            f"{self.n_doses} doses, {len(self.frame)} records"
        )
        units = [f"{c} in {u}" for c, u in self.units.items() if c in ("TIME", "AMT", "DV")]
        if units:
            text += f" ({', '.join(units)})"
        if self.covariates:
            named = [f"{c} ({self.units[c]})" if c in self.units else c for c in self.covariates]
            text += f"\n  covariates: {', '.join(named)}"
        if self.histology:
            sizes = self.summary()["subjects"]
            text += f"\n  {self.histology}: " + ", ".join(f"{label} {size}" for label, size in sizes.items())
        return text


def nearest_of(times: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Times (M,), those that one of the known (K,) ascending ones equals but for rounding being that one."""
    if not len(known):
        return times
    after = np.searchsorted(known, times).clip(max=len(known) - 1)
    before = (after - 1).clip(min=0)
    near = np.where(np.abs(known[after] - times) < np.abs(known[before] - times), known[after], known[before])
    return np.where(np.abs(near - times) <= 1e-13 * np.abs(times), near, times)


def _as_written(label: Any) -> str:
    """A label as text: 3, 3.0 and "3" are one ID, 3.5 is none of them."""
    return str(int(label)) if isinstance(label, float) and label.is_integer() else str(label)


def text_or_number(column: np.ndarray) -> np.ndarray:
    """Whole numbers become floats; text stays text."""
    return column if column.dtype == object else column.astype(np.float64)
