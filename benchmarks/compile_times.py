"""What compilation costs, in seconds on the processor: `python -m benchmarks.compile_times [--cold]`.

New model: the generated functions of a model that was never seen. Warm: a process that finds everything on disk. With --cold, the
kernels of the steppers in an empty cache as well (about a minute).
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time

PROCESS = "import time; start = time.process_time(); {}; print(time.process_time() - start)"
IMPORT = "import pkpd"
FIRST_SOLVE = (
    "from benchmarks.problems import CASES, profiles; from pkpd.language import Solver; "
    "case = CASES['two compartments, oral']; profiles(case.problem(1, Solver('ode')), case.parameters(1))()"
)


def in_a_process(code: str, **environment: str) -> float:
    """Seconds on the processor that ``code`` takes in a new process."""
    done = subprocess.run(
        [sys.executable, "-c", PROCESS.format(code)], env=os.environ | environment, capture_output=True, text=True, check=True
    )  # fmt: skip
    return float(done.stdout)


def new_models() -> None:
    """Derive and compile each model of the comparison as if for the first time."""
    from benchmarks.problems import CASES
    from pkpd._generated import compile_generated
    from pkpd.language import Solver

    for name, case in CASES.items():
        start = time.process_time()
        problem = case.problem(1, Solver("ode"))
        derived = time.process_time()
        compile_generated(problem.source + f"# {time.time_ns()}\n")
        compiled = time.process_time()
        print(
            f"{name}: derivation {derived - start:.2f} s, compilation of both orders {compiled - derived:.2f} s"
        )


if __name__ == "__main__":
    print(f"import pkpd: {min(in_a_process(IMPORT) for _ in range(3)):.2f} s")
    in_a_process(FIRST_SOLVE)
    print(f"warm process to the first profile: {min(in_a_process(FIRST_SOLVE) for _ in range(3)):.2f} s")
    new_models()
    if "--cold" in sys.argv:
        with tempfile.TemporaryDirectory() as empty:
            print(f"steppers, cold: {in_a_process('import pkpd.kernels.ode', PKPD_CACHE_DIR=empty):.1f} s")
