"""Time and memory of a fit against the number of subjects: ``python -m benchmarks.scaling 100 1000 5000 20000``."""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
import warnings

import pandas as pd

import pkpd
from benchmarks.studies.designs import rich as oral_one_compartment

TRUTH = {
    "KA": 1.0, "CL": 4.0, "V": 50.0, "OMEGA(KA,KA)": 0.16, "OMEGA(CL,CL)": 0.09, "OMEGA(V,V)": 0.09, "SD(PROP)": 0.15,
}  # fmt: skip


def measure(subjects: int) -> dict[str, float]:
    """Fit, covariance and tables of so many subjects with four records each, closed form, in this process."""
    drawn = pkpd.simulate(
        oral_one_compartment,
        pkpd.dose(100),
        times=(0.5, 2.0, 6.0, 18.0),
        n=subjects,
        seed=1,
        parameters=TRUTH,
    )
    rows = drawn[["ID", "TIME", "DV"]].assign(EVID=0, AMT=0.0)
    doses = rows.drop_duplicates("ID").assign(TIME=0.0, DV=float("nan"), EVID=1, AMT=100.0)
    table = pkpd.read_dataset(
        pd.concat([doses, rows]).sort_values(["ID", "TIME"], kind="stable", ignore_index=True)
    )
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started, processor = time.perf_counter(), time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", pkpd.PkpdWarning)
        fit = pkpd.fit(oral_one_compartment, table)
    return {
        "subjects": subjects,
        "seconds": time.perf_counter() - started,
        "processor": time.process_time() - processor,
        "iterations": len(fit.iterations),
        "memory before, MB": before / 1024,
        "peak, MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "converged": fit.minimization_successful,
    }


def main() -> None:
    """Each size runs in a process of its own: peak memory never falls within one."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scaling", description=__doc__)
    parser.add_argument("subjects", nargs="+", type=int)
    parser.add_argument("--here", action="store_true", help="in this process")
    given = parser.parse_args()
    for subjects in given.subjects:
        if given.here:
            print(json.dumps(measure(subjects)), flush=True)
        else:
            subprocess.run([sys.executable, "-m", "benchmarks.scaling", str(subjects), "--here"], check=True)


if __name__ == "__main__":
    main()
