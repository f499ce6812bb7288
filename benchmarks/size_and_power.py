"""Size and power of the default tests, and coverage of the default intervals, at the sizes of basket trials.

``python -m benchmarks.size_and_power > benchmarks/size_and_power.md`` (about ten minutes on one core) writes the tables
that stand there. Each trial draws from a stream of its own, keyed by seed, design and number: the tables come out the same again.
"""

from __future__ import annotations

import argparse
import math
import warnings
from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
from scipy.special import expit

from pkpd.distributions import HalfNormal, Normal
from pkpd.errors import PkpdWarning
from pkpd.histology import equivalence, meta_analysis, normal_hierarchical, permutation
from pkpd.parallel import stream
from pkpd.response import bootstrap_likelihood_ratio, fit_logistic

SEED = 20251229
DESIGNS = {"6 × 20": [20] * 6, "10 × 15": [15] * 10, "19, 10, 26, 8, 14, 7": [19, 10, 26, 8, 14, 7]}
LEVEL = 0.05
BOOTSTRAP = 199


def trial(rng: np.random.Generator, sizes: Sequence[int], levels: float, slopes: float) -> pd.DataFrame:
    """Binary response: own level per histology, slope 0.5 per SD of exposure; `levels`, `slopes` are SDs between histologies."""
    tumour = np.repeat(np.arange(len(sizes)), sizes)
    x = rng.standard_normal(len(tumour))
    level = -0.5 + levels * rng.standard_normal(len(sizes))
    slope = 0.5 + slopes * rng.standard_normal(len(sizes))
    y = rng.random(len(tumour)) < expit(level[tumour] + slope[tumour] * x)
    return pd.DataFrame({"TUMOR": [f"h{k}" for k in tumour], "X": x, "ORR": y.astype(int)})


def share(hits: Iterable[bool]) -> str:
    """Percent with its Monte-Carlo standard error."""
    values = np.array(list(hits), float)
    p = values.mean()
    return f"{100 * p:.1f} ({100 * math.sqrt(p * (1 - p) / len(values)):.1f})"


def tests(reps: int) -> list[tuple[str, ...]]:
    """Rejections at 5 %: exposure × histology, and histology at equal exposure."""
    cases = [
        ("histology × exposure", "interaction", "none", 0.7, 0.0),
        ("histology × exposure", "interaction", "slopes vary, SD 1", 0.7, 1.0),
        ("histology at equal exposure", "intercepts", "none", 0.0, 0.0),
        ("histology at equal exposure", "intercepts", "levels vary, SD 1", 1.0, 0.0),
    ]
    rows = []
    for number, (what, term, truth, levels, slopes) in enumerate(cases):
        for place, (design, sizes) in enumerate(DESIGNS.items()):
            chi2, bootstrap = [], []
            for r in range(reps):
                frame = trial(stream(SEED, 1, number, place, r), sizes, levels, slopes)
                if frame["ORR"].nunique() < 2:
                    continue
                found = bootstrap_likelihood_ratio(
                    frame, "ORR", "X", "TUMOR", term, n_bootstrap=BOOTSTRAP, seed=r
                )
                chi2.append(found.p_chi2 <= LEVEL)
                bootstrap.append(found.p_value <= LEVEL)
            rows.append((what, truth, design, share(chi2), share(bootstrap)))
    return rows


def tables(reps: int) -> list[tuple[str, ...]]:
    """Rejections of the permutation test of equal response rates."""
    rows = []
    for number, (truth, spread) in enumerate((("all 30 %", 0.0), ("levels vary, SD 1", 1.0))):
        for place, (design, sizes) in enumerate(DESIGNS.items()):
            exact, chi2 = [], []
            for r in range(reps):
                rng = stream(SEED, 2, number, place, r)
                rate = expit(math.log(3 / 7) + spread * rng.standard_normal(len(sizes)))
                events = rng.binomial(sizes, rate)
                if not 0 < events.sum() < sum(sizes):
                    continue
                found = permutation(events, sizes, n_permutations=999, seed=r)
                exact.append(found.p_value <= LEVEL)
                chi2.append(found.p_chi2 <= LEVEL)
            rows.append((truth, design, share(chi2), share(exact)))
    return rows


def summaries(reps: int) -> list[tuple[str, ...]]:
    """Coverage of intervals over histologies: true effects N(0, τ²), standard errors 2/√n."""
    rows = []
    for place, (design, sizes) in enumerate(DESIGNS.items()):
        se = 2 / np.sqrt(sizes)
        for number, tau in enumerate((0.0, 0.3, 0.8)):
            hits: dict[str, list[bool]] = {k: [] for k in ("mu", "new", "tau2", "shrunken", "predictive")}
            for r in range(reps):
                rng = stream(SEED, 3, place, number, r)
                truth = tau * rng.standard_normal(len(sizes) + 1)
                y = truth[:-1] + se * rng.standard_normal(len(sizes))
                found = meta_analysis(y, se)
                hits["mu"].append(found.lower <= 0 <= found.upper)
                hits["new"].append(found.prediction_lower <= truth[-1] <= found.prediction_upper)
                hits["tau2"].append(found.tau2_lower <= tau**2 <= found.tau2_upper)
                bayes = normal_hierarchical(y, se, tau=HalfNormal(0.5), mu=Normal(0, 2))
                inside = (bayes.table["lower"] <= truth[:-1]) & (truth[:-1] <= bayes.table["upper"])
                hits["shrunken"] += inside.tolist()
                hits["predictive"].append(bayes.predictive_lower <= truth[-1] <= bayes.predictive_upper)
            rows.append((design, f"{tau:g}", *(share(h) for h in hits.values())))
    return rows


def slopes(reps: int) -> list[tuple[str, ...]]:
    """Coverage of the 95 % interval of a histology's own slope (true 0.5), by profile and by Wald."""
    rows = []
    for place, n in enumerate((10, 15, 20, 30)):
        profile, wald = [], []
        for r in range(reps):
            frame = trial(stream(SEED, 4, place, r), [n], 0.0, 0.0)
            if frame["ORR"].nunique() < 2:
                continue
            fit = fit_logistic(frame, "ORR", "X", firth=True)
            lower, upper = fit.profile_interval("slope")
            profile.append(lower <= 0.5 <= upper)
            at, se = fit.coefficients["slope"], fit.standard_errors["slope"]
            wald.append(abs(at - 0.5) <= 1.96 * se)
        rows.append((f"{n}", share(profile), share(wald)))
    return rows


def equivalent(reps: int) -> list[tuple[str, ...]]:
    """How often a log ratio is called equivalent, different or neither; known standard error."""
    rows = []
    for place, se in enumerate((0.05, 0.10, 0.15)):
        for number, ratio in enumerate((1.0, 1.1, 1.25, 1.4)):
            rng = stream(SEED, 5, place, number)
            states = [equivalence(math.log(ratio) + se * z, se).state for z in rng.standard_normal(reps)]
            rows.append(
                (
                    f"{se:g}",
                    f"{ratio:g}",
                    *(share(s == k for s in states) for k in ("equivalent", "different", "inconclusive")),
                )
            )
    return rows


def markdown(heading: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table."""
    lines = ["| " + " | ".join(heading) + " |", "|" + "---|" * len(heading)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


def main() -> None:
    """Print all tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=500)
    reps = parser.parse_args().trials
    warnings.simplefilter("ignore", PkpdWarning)
    print("# Size, power and coverage\n")
    print(
        f"Written by `python -m benchmarks.size_and_power --trials {reps}`, seed {SEED}. Percent of {reps} simulated trials, "
        "with the Monte-Carlo standard error in brackets; trials in which nobody or everybody responded are left out. Tests at "
        "5 %. Sizes stand where the truth is *none* or *all 30 %*, power elsewhere.\n"
    )
    print("## Exposure-response tests\n")
    print(
        f"Likelihood ratio, {BOOTSTRAP} bootstrap replicates (plans use 999); slope 0.5 per SD of exposure, "
        "mean response 38 %.\n"
    )
    print(
        markdown(
            ("test", "true difference", "histologies", "χ² (not used)", "bootstrap (default)"), tests(reps)
        )
    )
    print("\n## Response rates\n")
    print("Pearson statistic; 999 permutations.\n")
    print(markdown(("true rates", "histologies", "χ² (not used)", "permutation (default)"), tables(reps)))
    print("\n## Intervals over histologies\n")
    print(
        "Standard errors 2/√n. Paule-Mandel, truncated Hartung-Knapp and Q-profile: nominal 95 %. Normal hierarchical model "
        "with τ ~ HalfNormal(0.5): nominal 90 %; its coverage holds on average over that prior, not at each τ.\n"
    )
    heading = (
        "histologies",
        "τ",
        "mean (HK)",
        "new histology (HK)",
        "τ² (Q-profile)",
        "shrunken effects",
        "new (Bayes)",
    )
    print(markdown(heading, summaries(reps)))
    print("\n## Slope of one histology\n")
    print("Firth's penalised likelihood, nominal 95 %.\n")
    print(markdown(("patients", "profile (default)", "Wald"), slopes(reps)))
    print("\n## Equivalence of exposure\n")
    print("Bounds 0.80 to 1.25, α = 0.05 on either side.\n")
    print(
        markdown(
            ("standard error", "true ratio", "equivalent", "different", "inconclusive"), equivalent(10 * reps)
        )
    )


if __name__ == "__main__":
    main()
