"""``pkpd respond`` and ``pkpd compare``: exposure-response fits, and what differs between histologies, fits or assessments."""

from __future__ import annotations

import argparse
import dataclasses
import inspect
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pkpd.commands.answers import OK, answer, json_option, refuse
from pkpd.commands.sources import assessment_file, check_output, result_of, save_result, table_of
from pkpd.commands.words import set_option, settings
from pkpd.errors import InputError

__all__ = ["register"]

REGRESSION = 3
_COMMON = {"exposure": "exposure", "histology": "histology", "dose": "dose"}
FAMILIES: dict[str, tuple[str, dict[str, str]]] = {
    "logistic": ("fit_logistic", {"response": "response", **_COMMON}),
    "ordinal": ("fit_ordinal", {"response": "response", **_COMMON}),
    "count": ("fit_count", {"response": "response", **_COMMON}),
    "emax": ("fit_emax", {"response": "response", **_COMMON}),
    "cox": ("fit_cox", {"time": "response", "event": "event", **_COMMON}),
    "survival": ("fit_parametric_survival", {"time": "response", "event": "event", **_COMMON}),
    "competing": ("fit_competing_risks", {"time": "response", "cause": "event", **_COMMON}),
    "tumour_size": ("fit_tumour_size", {"size": "response", "time": "time", **_COMMON}),
    "qtc": (
        "fit_qtc",
        {
            "change": "response",
            "concentration": "exposure",
            "time": "time",
            "baseline": "baseline",
            "dose": "dose",
        },
    ),
    "mcp_mod": ("mcp_mod", {"response": "response", "dose": "dose"}),
}
"""Function of each family, and the option that names each of its columns."""
VERDICT = ("verdict", "dose")


def register(verbs: Any) -> None:
    """Add the verbs of this family."""
    respond = verbs.add_parser(
        "respond",
        help="fit an exposure-response model to a table with one row per subject",
        epilog="Examples: pkpd respond subjects.csv --response ORR --exposure AUCSS --histology TUMOR --dose DOSE "
        "--set shape=log; pkpd respond sizes.csv --family tumour_size --response SLD --time WEEK --histology TUMOR; "
        "pkpd respond ecg.csv --family qtc --response DQTCF --exposure CONC --time TIME --baseline QTCF0 --set "
        "treatment=ACTIVE; pkpd respond trial.csv --family mcp_mod --response Y --dose DOSE --set "
        "\"models={'emax': [20], 'linear': None}\"",
    )
    respond.add_argument(
        "table",
        metavar="TABLE",
        help="CSV or Parquet, one row per subject (tumour_size, qtc: per measurement)",
    )
    respond.add_argument("--family", choices=FAMILIES, default="logistic", help="logistic by default")
    respond.add_argument(
        "--response",
        help="column of the response (of times, the time; tumour_size: the size; qtc: change of QTc)",
    )
    respond.add_argument(
        "--event", help="cox, survival: column with 1 for the event; competing: column of the cause"
    )
    respond.add_argument("--exposure", help="column of the exposure")
    respond.add_argument("--histology", help="column of the histology")
    respond.add_argument(
        "--dose",
        help="column of the dose that was assigned: states the evidence class (with --set randomised=True); mcp_mod: "
        "what is modelled",
    )
    respond.add_argument("--time", help="tumour_size: column of the time (TIME); qtc: of the nominal time")
    respond.add_argument("--baseline", help="qtc: column of the baseline QTc")
    respond.add_argument("--output", metavar="FILE", help="the fit as JSON")
    set_option(respond, "shape=log slopes=common")
    json_option(respond)
    respond.set_defaults(run=_respond)

    compare = verbs.add_parser(
        "compare",
        help="two assessments (3 if a verdict moved), fits of one data set, or response rates of histologies",
        description="Two assessment.json: every verdict, dose and probability; exit code 3 if one moved. Fits: OFV, AIC, BIC "
        "and likelihood-ratio tests of nested ones. A table of responders and patients per histology: whether rates differ.",
        epilog="Examples: pkpd compare old/ new/; pkpd compare full.json reduced.json; "
        "pkpd compare rates.csv --responders responders --patients patients --histology TUMOR",
    )
    compare.add_argument(
        "files", metavar="FILE", nargs="+", help="assessments (or their folders), fits, or one table"
    )
    compare.add_argument("--tolerance", type=float, help="of probabilities of assessments (0.005)")
    compare.add_argument("--responders", metavar="COLUMN", help="of a table")
    compare.add_argument("--patients", metavar="COLUMN", help="of a table")
    compare.add_argument("--histology", metavar="COLUMN", help="of a table (TUMOR)")
    json_option(compare)
    compare.set_defaults(run=_compare)


def _respond(options: argparse.Namespace) -> int:
    from pkpd import response

    check_output(options.output, ".json")
    name, columns = FAMILIES[options.family]
    function: Callable[..., Any] = getattr(response, name)
    known = ("event", "exposure", "histology", "dose", "time", "baseline")
    refuse(options, options.family, *(o for o in known if o not in columns.values()))
    given = {c: getattr(options, o) for c, o in columns.items() if getattr(options, o) is not None}
    given |= settings(options, function, "frame", *columns)
    needed = inspect.signature(function).parameters.values()
    for absent in [p.name for p in needed if p.default is p.empty and p.name not in ("frame", *given)]:
        if absent == "exposure":  # may be None, where the family allows it
            given[absent] = None
            continue
        what = f"--{columns[absent]}" if absent in columns else f"--set {absent}=..."
        raise InputError("E_OPTION", f"{options.family} needs {what}.", "Name it; see pkpd respond --help.")
    fit = function(table_of(options.table), **given)
    said = save_result(fit, options.output)
    return answer(options, "\n".join([_told(fit), *said]), fit)


def _told(fit: Any) -> str:
    """What is one line, and the estimates; covariances and records are for ``--output`` and ``--json``."""
    if not hasattr(fit, "parameters"):
        return repr(fit)
    lines = [type(fit).__name__]
    for field in dataclasses.fields(fit):
        value = getattr(fit, field.name)
        if isinstance(value, float):
            value = f"{value:.6g}"
        elif isinstance(value, tuple):
            value = "; ".join(map(str, value))
        if isinstance(value, (str, int)) and value != "":
            lines.append(f"  {field.name.replace('_', ' ')}: {value}")
    shown = [c for c in ("estimate", "se", "lower", "upper", "scale") if c in fit.parameters]
    table = fit.parameters[shown].to_string(float_format="{:.4g}".format)
    counts = getattr(fit, "counts", None)
    sizes = [] if counts is None else [counts.to_string(index=False)]
    return "\n\n".join(["\n".join(lines), table, *sizes])


def _compare(options: argparse.Namespace) -> int:
    options.files = [assessment_file(f) for f in options.files]
    if not all(f.endswith(".json") for f in options.files):
        refuse(options, "a table", "tolerance")
        return _rates(options)
    refuse(options, "a result", "responders", "patients", "histology")
    kinds = [_kind(f) for f in options.files]
    if set(kinds) == {"Assessment"} and len(kinds) == 2:
        return _assessments(options)
    if set(kinds) == {"PopulationFit"} and len(kinds) > 1:
        refuse(options, "a fit", "tolerance")
        return _fits(options)
    found = ", ".join(f"{f}: {k}" for f, k in zip(options.files, kinds, strict=True))
    raise InputError(
        "E_OPTION", f"these cannot be compared ({found}).", "Give two assessments, or several fits."
    )


def _kind(path: str) -> str:
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(
            "E_FILE_NOT_FOUND", f"cannot read {path}: {error}.", "Give a file that pkpd wrote."
        ) from error
    return str(content.get("__class__")) if isinstance(content, dict) else "no result"


def _assessments(options: argparse.Namespace) -> int:
    import pandas as pd

    from pkpd.study.assessment import Assessment

    before, after = (result_of(f, Assessment).verdicts.set_index("histology") for f in options.files)
    tolerance = 0.005 if options.tolerance is None else options.tolerance
    rows = []
    for who in [*before.index, *(h for h in after.index if h not in before.index)]:
        for what in before.columns:
            if what in VERDICT or what.startswith("p_"):
                pair = [t.loc[who, what] if who in t.index and what in t else None for t in (before, after)]
                changed = _moved(pair[0], pair[1], tolerance if what.startswith("p_") else 0.0)
                rows.append(
                    {
                        "histology": who,
                        "quantity": what,
                        "before": pair[0],
                        "after": pair[1],
                        "moved": changed,
                    }
                )
    table = pd.DataFrame(rows)
    moved = table[table["moved"]]
    text = (
        "no verdict, dose or probability moved"
        if moved.empty
        else moved.drop(columns="moved").to_string(index=False)
    )
    answer(options, text, table)
    return OK if moved.empty else REGRESSION


def _moved(old: Any, new: Any, tolerance: float) -> bool:
    if _nothing(old) or _nothing(new):
        return _nothing(old) != _nothing(new)
    return old != new if isinstance(old, str) else abs(float(new) - float(old)) > tolerance


def _nothing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def _fits(options: argparse.Namespace) -> int:
    import pandas as pd

    from pkpd.histology import likelihood_ratio
    from pkpd.population import PopulationFit

    fits = [result_of(f, PopulationFit) for f in options.files]
    if len({f.data.fingerprint() for f in fits}) > 1:
        raise InputError(
            "E_COMPARE_DATA", "the fits are of different data.", "Fit one data set with each model."
        )
    rows = []
    for name, fit in zip(options.files, fits, strict=True):
        free = int((~fit.parameters["fixed"].astype(bool)).sum())
        rows.append(
            {
                "fit": name,
                "model": fit.model.name,
                "method": type(fit.method).__name__,
                "parameters": free,
                "ofv": fit.ofv,
                "difference": fit.ofv - fits[0].ofv,
                "aic": fit.minus2ll + 2 * free,
                "bic": fit.minus2ll + free * math.log(fit.n_observations),
                "p": _nested(likelihood_ratio, fits[0], fit),
            }
        )
    table = pd.DataFrame(rows)
    text = table.to_string(
        index=False, na_rep="", float_format=lambda v: f"{v:.4g}" if abs(v) < 1 else f"{v:.3f}"
    )
    note = "p: likelihood-ratio test against the first fit, where one is nested in the other"
    return answer(options, f"{text}\n{note}", table)


def _nested(test: Callable[..., Any], one: Any, other: Any) -> float:
    for full, reduced in ((one, other), (other, one)):
        try:
            return float(test(full, reduced).p_value)
        except InputError:
            continue
    return math.nan


def _rates(options: argparse.Namespace) -> int:
    from pkpd.histology import partitions, permutation

    if len(options.files) != 1 or options.responders is None or options.patients is None:
        raise InputError(
            "E_OPTION",
            "a table needs --responders and --patients.",
            "Give one table, and the columns of the counts.",
        )
    table = table_of(options.files[0])
    histology = options.histology or "TUMOR"
    absent = [c for c in (options.responders, options.patients, histology) if c not in table]
    if absent:
        raise InputError(
            "E_COLUMN",
            f"the table has no column {absent[0]!r}.",
            f"It has {', '.join(map(str, table.columns))}.",
        )
    counts = table.set_index(histology)
    test = permutation(counts[options.responders], counts[options.patients])
    groups = partitions(counts[options.responders], counts[options.patients])
    text = f"{test!r}\n\n{groups!r}"
    return answer(options, text, {"permutation": test, "partitions": groups})
