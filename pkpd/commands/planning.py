"""``pkpd plan new``, ``check`` and ``sign``, and ``pkpd check``: what must be right before anything runs."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from pkpd.commands.answers import OK, answer, json_option, refuse
from pkpd.commands.sources import units_of, units_option

__all__ = ["register"]

BAD_INPUT = 2


def register(verbs: Any) -> None:
    """Add the verbs of this family."""
    plan = verbs.add_parser("plan", help="write, check or sign an analysis plan")
    actions = plan.add_subparsers(title="actions", metavar="ACTION", required=True)

    new = actions.add_parser(
        "new",
        help="write a commented plan from the columns of a data set",
        description="Write a commented plan from the columns of a data set. What only people can say is marked FILL IN.",
    )
    new.add_argument("data", metavar="DATA", help="CSV in NONMEM convention")
    new.add_argument("--histology", metavar="COLUMN", default="TUMOR", help="column of the groups (TUMOR)")
    new.add_argument(
        "--output", metavar="PLAN", help="file to write; plan.toml beside the data by default, - prints it"
    )
    units_option(new)
    new.add_argument("--exposure-only", action="store_true", help="compare exposure alone, without endpoints")
    json_option(new)
    new.set_defaults(run=_new)

    check = actions.add_parser("check", help="list every mistake of a plan, its data and its model")
    check.add_argument("file", metavar="PLAN", help="the plan")
    json_option(check)
    check.set_defaults(run=_check)

    sign = actions.add_parser(
        "sign",
        help="record a plan as it is now: later runs list where they depart from it",
        description="Record a plan as it is now in PLAN.signed beside it. Runs of the plan list every value that is no longer "
        "the signed one, in assessment.json and in the report.",
    )
    sign.add_argument("plan", metavar="PLAN", help="the plan")
    sign.add_argument("--by", metavar="NAME", required=True, help="who signs")
    json_option(sign)
    sign.set_defaults(run=_sign)

    data = verbs.add_parser("check", help="check a data set, or a plan (.toml), and list what is wrong")
    data.add_argument(
        "file",
        metavar="FILE",
        help="CSV in NONMEM convention, the name of a shipped data set, or a plan (.toml)",
    )
    json_option(data)
    data.set_defaults(run=_check)


def _new(options: argparse.Namespace) -> int:
    from pkpd.errors import InputError
    from pkpd.study.template import plan_template

    data = Path(options.data)
    # that of a shipped data set begins here, not beside it
    beside = data.with_name("plan.toml") if data.is_file() else Path("plan.toml")
    target = beside if options.output is None else Path(options.output)
    printed = options.output == "-"
    if printed:
        refuse(options, "--output -", "json")
    folder = data.parent if printed else target.parent
    text = plan_template(
        _path(options.data),
        histology=options.histology,
        folder=folder,
        units=units_of(options),
        exposure_only=options.exposure_only,
    )
    if printed:
        print(text, end="")
        return OK
    try:
        with target.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise InputError(
            "E_OUTPUT",
            f"{target} is there already.",
            "Give another file with --output, or - to print the plan.",
        ) from None
    except OSError as error:
        raise InputError(
            "E_OUTPUT",
            f"cannot write {target}: {error.strerror or error}.",
            "Give another file with --output.",
        ) from error
    open_keys = text.count("# FILL IN") - 1  # the heading explains the mark
    said = f"wrote {target}: {open_keys} keys to fill in; `pkpd plan check {target}` lists what is missing"
    return answer(options, said, {"plan": str(target), "to_fill_in": open_keys})


def _sign(options: argparse.Namespace) -> int:
    from pkpd.study.signature import sign_plan

    target, digest = sign_plan(options.plan, options.by)
    return answer(
        options,
        f"wrote {target}\nSHA-256 {digest}: keep it where nobody changes it",
        {"signature": str(target), "sha256": digest},
    )


def _check(options: argparse.Namespace) -> int:
    sizes = ""
    of_plan = Path(options.file).suffix == ".toml"
    if of_plan:
        from pkpd.study.rehearsal import rehearse

        findings = rehearse(options.file)
    else:
        from pkpd.data.intake import examine

        dataset, findings = examine(_path(options.file))
        if dataset is not None:
            sizes = dataset.summary().to_string()
    errors = sum(f.is_error for f in findings)
    shown = [str(f).replace(": row ", ": line ", 1) if f.row and of_plan else str(f) for f in findings]
    ending = f"{options.file}: {_count(errors, 'error')}, {_count(len(findings) - errors, 'warning')}"
    answer(options, "\n".join([*shown, *([sizes] if sizes else []), ending]), [vars(f) for f in findings])
    return BAD_INPUT if errors else OK


def _path(file: str) -> str | Path:
    """A file, or the one of a shipped data set."""
    from pkpd.shipped import dataset_names, dataset_path

    return dataset_path(file) if file in dataset_names() and not Path(file).exists() else file


def _count(n: int, what: str) -> str:
    return f"{n} {what}" if n == 1 else f"{n} {what}s"
