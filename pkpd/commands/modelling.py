"""``pkpd fit``, ``simulate``, ``vpc``, ``nca`` and ``exposure``: the Python functions of these names, from files to files."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

from pkpd.commands.answers import answer, json_option
from pkpd.commands.sources import (
    TABLES,
    check_output,
    data_options,
    dataset_of,
    model_of,
    result_of,
    save_result,
    save_table,
    threads_option,
)
from pkpd.commands.words import numbers, pairs, set_option, settings, spoken
from pkpd.errors import InputError

__all__ = ["register"]

MODEL = "a Python file with one @pkpd.model function, or the name of a shipped model (`pkpd models`)"
FIGURES = (".png", ".svg", ".pdf")


def register(verbs: Any) -> None:
    """Add the verbs of this family."""
    fit = verbs.add_parser(
        "fit",
        help="fit a population model",
        description="Fit a population model. Ctrl-C keeps what was computed where --store is given.",
        epilog="Example: pkpd fit theophylline theophylline --output fit.json; "
        "pkpd fit model.py study.csv --method 'SAEM()' 'FOCEI(covariance=\"R\")' --units TIME=h DV=mg/L",
    )
    fit.add_argument("model", metavar="MODEL", help=MODEL)
    data_options(fit)
    fit.add_argument(
        "--method",
        nargs="+",
        default=["FOCEI"],
        help="FOCEI (default), 'AGQ(nodes=7)', ...; several are a chain",
    )
    fit.add_argument("--seed", type=int, default=0, help="of SAEM, IMP and several starts (0)")
    fit.add_argument(
        "--start", metavar="NAME=VALUE", nargs="+", action="extend", help="starting values: CL=3 V=30"
    )
    fit.add_argument("--store", metavar="DIR", help="keep evaluations there: an interrupted fit goes on")
    fit.add_argument(
        "--output", metavar="FILE", help="the fit as JSON, for the other verbs and PopulationFit.from_json"
    )
    threads_option(fit)
    json_option(fit)
    fit.set_defaults(run=_fit)

    simulate = verbs.add_parser(
        "simulate",
        help="simulate subjects under a regimen, or the records of a data set",
        epilog="Example: pkpd simulate theophylline --dose 'dose(320, every=24, until=72)' --times 0:72:1 --n 100",
    )
    simulate.add_argument("model", metavar="MODEL", help=f"{MODEL}, or a fit (.json), with its estimates")
    simulate.add_argument("--dose", help="the regimen: 'dose(400) + dose(200, every=24, until=240)'")
    simulate.add_argument("--times", metavar="TIMES", help="0:24:0.5 (from, to, step), or 0,1,2.5")
    simulate.add_argument("--n", type=int, help="number of subjects (1)")
    simulate.add_argument("--seed", type=int, default=0)
    simulate.add_argument(
        "--uncertainty", action="store_true", help="of a fit: draw its parameters anew per replicate"
    )
    simulate.add_argument(
        "--data", metavar="DATA", help="simulate the records of a data set instead of a regimen"
    )
    simulate.add_argument(
        "--output", metavar="FILE", help=".csv or .parquet; the table is printed without it"
    )
    set_option(simulate, "replicates=100 residual_error=False")
    json_option(simulate)
    simulate.set_defaults(run=_simulate, units=None, histology="TUMOR")

    vpc = verbs.add_parser(
        "vpc", help="visual predictive check of a fit", epilog="Example: pkpd vpc fit.json --figure vpc.png"
    )
    vpc.add_argument("fit", metavar="FIT", help="what `pkpd fit --output` wrote")
    vpc.add_argument("--n", type=int, default=1000, help="simulations of the data (1000)")
    vpc.add_argument("--seed", type=int, default=0)
    vpc.add_argument("--prediction-corrected", action="store_true", help="as Bergstrand et al. 2011")
    vpc.add_argument("--figure", metavar="FILE", help="draw it: .png, .svg or .pdf")
    vpc.add_argument("--output", metavar="FILE", help="the result as JSON")
    set_option(vpc, "x=TAD stratify=SEX")
    json_option(vpc)
    vpc.set_defaults(run=_vpc)

    nca = verbs.add_parser(
        "nca",
        help="non-compartmental analysis",
        epilog="Example: pkpd nca theophylline --route extravascular",
    )
    data_options(nca)
    nca.add_argument("--route", required=True, help="extravascular or bolus (doses with RATE are infusions)")
    nca.add_argument("--output", metavar="FILE", help="the result as JSON, or its table as .csv or .parquet")
    set_option(nca, "tau=24 steady_state=True")
    json_option(nca)
    nca.set_defaults(run=_nca)

    exposure = verbs.add_parser(
        "exposure",
        help="exposure of each subject from a fit",
        epilog="Example: pkpd exposure fit.json --metrics AUC1 CMAXSS --dose 'dose(320)' --interval 24",
    )
    exposure.add_argument("fit", metavar="FIT", help="what `pkpd fit --output` wrote")
    exposure.add_argument("--metrics", nargs="+", required=True, help="AUC1 CMAX1 CTROUGHSS CAVGSS ...")
    exposure.add_argument(
        "--dose", required=True, help="planned doses: 'dose(320)'; or actual, those of the data"
    )
    exposure.add_argument("--interval", type=float, required=True, help="length of the dosing interval")
    exposure.add_argument(
        "--output", metavar="FILE", help=".csv or .parquet; the table is printed without it"
    )
    set_option(exposure, "level=0.9")
    json_option(exposure)
    exposure.set_defaults(run=_exposure)


def _fit(options: argparse.Namespace) -> int:
    if options.threads is not None:
        # read by numba when it is first imported, which no module above has done
        os.environ["NUMBA_NUM_THREADS"] = str(options.threads)
    from pkpd import population

    check_output(options.output, ".json")
    methods = [spoken(m) for m in options.method]
    fit = population.fit(
        model_of(options.model),
        dataset_of(options),
        method=methods[0] if len(methods) == 1 else methods,
        seed=options.seed,
        start=pairs(options.start, "--start") or None,
        store=options.store,
    )
    said = save_result(fit, options.output)
    names = (
        "ofv",
        "minus2ll",
        "n_subjects",
        "n_observations",
        "minimization_successful",
        "termination_cause",
    )
    value = {name: getattr(fit, name) for name in (*names, "covariance_status", "parameters", "warnings")}
    value |= {
        "eta_shrinkage": fit.eta_shrinkage,
        "eps_shrinkage": fit.eps_shrinkage,
        "output": options.output,
    }
    return answer(options, "\n".join([repr(fit), *said]), value)


def _simulate(options: argparse.Namespace) -> int:
    from pkpd.population import PopulationFit
    from pkpd.simulation import simulate

    check_output(options.output, *TABLES)
    fit = result_of(options.model, PopulationFit) if options.model.endswith(".json") else None
    if options.uncertainty and fit is None:
        raise InputError(
            "E_OPTION", "--uncertainty needs a fit.", "Give what `pkpd fit --output` wrote as MODEL."
        )
    if (options.dose is None) == (options.data is None):
        raise InputError("E_OPTION", "either --dose or --data says what is simulated.", "Give one of them.")
    taken = ("model", "regimen_or_data", "times", "n", "seed", "uncertainty", "path", "executor")
    more = settings(options, simulate, *taken)
    if fit is not None and not options.uncertainty:
        more.setdefault("parameters", fit.parameter_estimates)
    if options.times is not None:
        more["times"] = numbers(options.times)
    if options.uncertainty:
        more["uncertainty"] = fit
    table = simulate(
        model_of(options.model) if fit is None else fit.model,
        _regimen(options.dose) if options.data is None else dataset_of(options),
        n=options.n,
        seed=options.seed,
        **more,
    )
    return _table(options, table)


def _regimen(text: str) -> Any:
    """The doses of ``--dose``; ``actual`` stays a word."""
    found = spoken(text)
    if isinstance(found, str) and found != "actual":
        raise InputError(
            "E_WORDS",
            f"--dose {text!r} is not understood.",
            "Write 'dose(320, every=24, until=168)', in quotes.",
        )
    return found


def _table(options: argparse.Namespace, table: Any) -> int:
    said = save_table(table, options.output)
    text = "\n".join(said) or table.to_csv(index=table.index.name is not None).rstrip("\n")
    return answer(options, text, {"output": options.output, "rows": len(table)} if said else table)


def _vpc(options: argparse.Namespace) -> int:
    from pkpd.population import PopulationFit, vpc

    check_output(options.output, ".json")
    check_output(options.figure, *FIGURES)
    more = settings(options, vpc, "fit", "n", "seed", "prediction_corrected", "executor")
    found = vpc(
        result_of(options.fit, PopulationFit),
        n=options.n,
        seed=options.seed,
        prediction_corrected=options.prediction_corrected,
        **more,
    )
    said = save_result(found, options.output)
    if options.figure is not None:
        from pkpd.report import figures

        figures.vpc(found).ravel()[0].figure.savefig(options.figure)
        said.append(f"wrote {options.figure}")
    return answer(options, "\n".join([repr(found), *said]), found)


def _nca(options: argparse.Namespace) -> int:
    from pkpd.appearance import as_frame
    from pkpd.noncompartmental import nca

    check_output(options.output, ".json", *TABLES)
    found = nca(dataset_of(options), route=options.route, **settings(options, nca, "data", "route"))
    if options.output is None or Path(options.output).suffix == ".json":
        said = save_result(found, options.output)
    else:
        said = save_table(as_frame(found), options.output)
    return answer(options, "\n".join([repr(found), *said]), found)


def _exposure(options: argparse.Namespace) -> int:
    from pkpd.exposure import exposure_metrics
    from pkpd.population import PopulationFit

    check_output(options.output, *TABLES)
    table = exposure_metrics(
        result_of(options.fit, PopulationFit),
        options.metrics,
        regimen=_regimen(options.dose),
        interval=options.interval,
        **settings(options, exposure_metrics, "fit", "metrics", "regimen", "interval"),
    )
    return _table(options, table)
