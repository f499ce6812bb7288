"""Run simulation-estimation studies, and summarise them: ``python -m benchmarks.studies rich --replicates 500``.

Each finished replicate is a row of ``NAME.csv`` beside this file: a run that was stopped goes on where it was, and a kept row is
what the same command gives again.
"""

from __future__ import annotations

import argparse
import csv
import functools
import warnings
from pathlib import Path

import numpy as np
import pandas as pd

import pkpd
from benchmarks.studies.designs import DESIGNS
from pkpd.parallel import processes, run

HERE = Path(__file__).parent
Z = 1.959963984540054


def replicate(name: str, method: str, number: int) -> list[str]:
    """Simulate and fit one data set: a row of the table. Method and replicate share no random numbers."""
    design = DESIGNS[name]
    row = [str(number), method]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", pkpd.PkpdWarning)
        try:
            fit = pkpd.fit(design.model, design.data(number), design.methods[method], seed=number)
        except pkpd.PkpdError as error:
            return [*row, "0", error.code] + [""] * (2 * len(design.truth))
    table = fit.parameters.loc[list(design.truth)]
    values = [*table["estimate"], *table["se"]]
    return [*row, str(int(fit.minimization_successful)), fit.covariance_status, *(f"{v:.6g}" for v in values)]


def header(name: str) -> list[str]:
    truth = DESIGNS[name].truth
    return ["replicate", "method", "converged", "covariance", *truth, *(f"SE {p}" for p in truth)]


def study(name: str, method: str, replicates: int, workers: int, folder: Path = HERE) -> None:
    """Run what is missing of the first ``replicates`` data sets."""
    path = folder / f"{name}.csv"
    if not path.exists():
        with path.open("w", newline="") as file:
            csv.writer(file, lineterminator="\n").writerow(header(name))
    done = pd.read_csv(path)
    done = set(done.loc[done["method"] == method, "replicate"])
    numbers = [k for k in range(1, replicates + 1) if k not in done]
    with path.open("a", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")

        def keep(_: int, row: list[str]) -> None:
            writer.writerow(row)
            file.flush()

        outcomes = run(
            functools.partial(replicate, name, method),
            numbers,
            executor=processes(workers) if workers > 1 else None,
            label=f"{name}, {method}",
            keep=keep,
        )
    for failure in outcomes.failures:
        print(f"{name}, {method}, replicate {numbers[failure.task]}: {failure.reason}")


def summary(name: str, folder: Path = HERE) -> pd.DataFrame:
    """Bias, spread and coverage by method and parameter.

    Columns: replicates, converged %, covariance % (of those that converged), truth, bias % with its Monte-Carlo standard error,
    SD of the estimates, mean of the standard errors, coverage % of the intervals that pkpd gives (of variances and SDs on the
    logarithm) and of estimate ± 1.96 SE. Replicates that did not converge count in none of the columns after the second.
    """
    design, table = (
        DESIGNS[name],
        pd.read_csv(folder / f"{name}.csv").drop_duplicates(["replicate", "method"]),
    )
    rows = []
    for method, part in table.groupby("method", sort=False):
        good = part[part["converged"] == 1]
        for p, truth in design.truth.items():
            estimate, se = good[p].to_numpy(float), good[f"SE {p}"].to_numpy(float)
            has = np.isfinite(se)
            found, error = estimate[has], se[has]
            symmetric = np.abs(found - truth) <= Z * error
            covered = symmetric
            if p.startswith(("OMEGA(", "SD(")):
                covered = np.abs(np.log(found / truth)) <= Z * error / found
            size = abs(truth)
            rows.append(
                {
                    "method": method,
                    "parameter": p,
                    "replicates": len(part),
                    "converged %": 100 * len(good) / len(part),
                    "covariance %": 100 * has.mean(),
                    "truth": truth,
                    "bias %": 100 * (estimate.mean() - truth) / size,
                    "± %": 100 * estimate.std(ddof=1) / np.sqrt(len(estimate)) / size,
                    "SD": estimate.std(ddof=1),
                    "mean SE": se[has].mean(),
                    "coverage %": 100 * covered.mean(),
                    "symmetric %": 100 * symmetric.mean(),
                }
            )
    return pd.DataFrame(rows)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.studies", description=__doc__.splitlines()[0])
    parser.add_argument("studies", nargs="*", choices=[*DESIGNS, []], help="all by default")
    parser.add_argument("--replicates", type=int, default=500)
    parser.add_argument("--method", help="one of the design's methods; all by default")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--summary", action="store_true", help="print what there is and run nothing")
    given = parser.parse_args()
    for name in given.studies or DESIGNS:
        for method in () if given.summary else DESIGNS[name].methods:
            if given.method in (None, method):
                study(name, method, given.replicates, given.workers)
        print(f"\n{name}\n{summary(name).to_string(index=False, float_format=lambda v: f'{v:.3g}')}")


if __name__ == "__main__":
    main()
