"""First sections of the report: question and verdicts, assessment of the models, background, margins."""

from __future__ import annotations

from pkpd.report import verdict_tables as answer
from pkpd.report.blocks import Block, Heading, Terms, Text
from pkpd.report.context import Context
from pkpd.report.evidence_tables import deviation_table
from pkpd.report.numbers import MISSING

__all__ = ["background", "margins", "model_assessment", "verdicts"]


def _question(c: Context) -> list[tuple[str, str]]:
    use = (c.a.plan.get("context") or {}).get("use")
    labels = {
        e.kind: e.label.lower() if e.label[1:2].islower() else e.label for e in c.a.endpoints if e.primary
    }
    w = c.w
    context = _asked(c, "context").format(
        efficacy=labels.get("efficacy", MISSING),
        safety=labels.get("safety", MISSING),
        reference=c.reference,
    )
    question = _asked(c, "question").format(dose=c.reference_dose, interval=c.interval, reference=c.reference)
    return [
        (w["question.label"], question),
        (w["context.label"], w["sentences"].join([context, str(use)] if use else [context])),
    ]


def _asked(c: Context, key: str) -> str:
    """Words for what the plan asks: a dose, or exposure alone."""
    return c.w[f"{key}.exposure" if c.a.plan.get("exposure_only") else key]


def verdicts(c: Context) -> list[Block]:
    """Page one: what was asked, and the answer for each histology."""
    blocks: list[Block] = [Terms(tuple(_question(c)))]
    if c.a.global_statement:
        blocks.append(Text(c.say(c.a.global_statement), "global"))
    if len(c.a.verdicts) == 0:
        return [*blocks, Text(c.w["verdicts.absent"])]
    blocks.append(answer.verdict_table(c.a, c.w, c.reference, c.metric))
    meanings = answer.qualifier_table(c.a, c.w)
    return [*blocks, meanings] if meanings else blocks


def model_assessment(c: Context) -> list[Block]:
    """The assessment table of ICH M15, from what the plan and the evidence say."""
    w, pk = c.w, c.a.pk
    declared = c.a.plan.get("context") or {}
    classes = c.a.verdicts.get("evidence_class", ())
    known = [w[f"evidence.{name}"] for name in dict.fromkeys(classes) if f"evidence.{name}" in w]
    randomised = c.dosing.get("randomised")
    influence = [_asked(c, "influence")]
    if randomised is not None and not c.a.plan.get("exposure_only"):
        influence.append(w["influence.randomised" if randomised else "influence.observed"])
    if known:
        influence.append(w["influence.classes"].format(classes=w["list"].join(known)))
    if declared.get("influence"):
        influence.append(str(declared["influence"]))

    def stated(name: str) -> str:
        return str(declared.get(name) or w["not_declared"])

    pairs = [
        *_question(c),
        (w["influence.label"], w["sentences"].join(influence)),
        (w["consequence.label"], w["sentences"].join([_asked(c, "consequence"), stated("consequence")])),
        (w["risk.label"], stated("risk")),
        (w["impact.label"], stated("impact")),
        (w["decision.label"], _asked(c, "decision")),
        (
            w["verification.label"],
            w["verification"].format(
                convergence=w["verification.converged" if pk.successful else "verification.failed"]
            ),
        ),
        (w["validation.label"], _asked(c, "validation")),
        (w["applicability.label"], w["applicability"]),
    ]
    return [Terms(tuple(pairs))]


def background(c: Context) -> list[Block]:
    """What the plan tells of mechanism, alteration, indications and the earlier choice of dose."""
    declared = c.a.plan.get("context") or {}
    told = {name: declared.get(name) for name in ("mechanism", "alteration", "indications", "earlier_doses")}
    if not any(told.values()):
        return [c.absent("background")]
    return [Terms(tuple((c.w[f"background.{n}"], str(t or c.w["not_declared"])) for n, t in told.items()))]


def margins(c: Context) -> list[Block]:
    """Margins and thresholds with their sources, the decision table, and how far the plan was followed."""
    blocks: list[Block] = [*answer.margin_tables(c.a, c.w)]
    if not c.a.plan.get("exposure_only"):
        blocks.append(answer.rule_table(c.a, c.w))
    blocks.append(Heading("deviations", c.w["deviations"]))
    shown = deviation_table(c.a, c.w)
    return [*blocks, shown if shown is not None else Text(c.w["deviations.unsigned"])]
