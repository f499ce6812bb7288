"""A small assessment with made-up numbers, for tests of what is done with one."""

from __future__ import annotations

import pandas as pd

from pkpd.study.assessment import Assessment, ExposureResult, PkResult

VERDICTS = [
    # histology, n, verdict, dose, rule, ratio, response, qualifiers
    ("colorectal", 60, "exclude", float("nan"), "1", 1.01, float("nan"), ""),
    ("gastric", 130, "adjust dose", 3.0, "2a", 0.69, 0.48, "EXTRAPOLATED"),
    ("breast", 380, "same dose", 2.0, "3", 0.99, 0.50, ""),
    (
        "salivary gland, adenoid cystic",
        6,
        "insufficient data",
        2.0,
        "0",
        1.10,
        0.50,
        "SMALL-N; HIGH-SHRINKAGE; CONFOUNDED",
    ),
]


def assessment() -> Assessment:
    rows = []
    for histology, n, verdict, dose, rule, ratio, response, qualifiers in VERDICTS:
        rows.append(
            {
                "histology": histology,
                "n": n,
                "n_response": n,
                "verdict": verdict,
                "dose": dose,
                "dose_matches": "",
                "rule": rule,
                "ratio": ratio,
                "ratio_lower": ratio * 0.9,
                "ratio_upper": ratio * 1.1,
                "response_at_dose": response,
                "ae_at_dose": 0.1,
                "qualifiers": qualifiers,
                "sentence": f"{verdict} for {histology}: a sentence longer than one line of most terminals.",
            }
        )
    empty = pd.DataFrame({"histology": ["lung"], "estimate": [1.0]})
    parameters = pd.DataFrame({"estimate": [5.8]}, index=pd.Index(["CL"], name="parameter"))
    pk = PkResult(
        "drug", "FOCEI", 1.0, 2.0, 3.0, 10, 70, parameters, {"p_value": 0.01}, empty, ("CL",), True, "done"
    )
    exposure = ExposureResult("AUCSS", "h*ng/mL", 343.0, empty, empty, (0.8, 1.25))
    return Assessment(
        title="Made up",
        verdicts=pd.DataFrame(rows),
        global_statement="Clearance differs between tumour types.",
        plan={"dosing": {"unit": "mg"}},
        data=empty,
        pk=pk,
        exposure=exposure,
        endpoints=(),
        exchangeability={},
        assumptions=("Linear PK.",),
        provenance={"seed": 7},
    )
