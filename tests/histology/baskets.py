"""Published tables of responders per histology, with what independent programs made of them."""

from __future__ import annotations

import json
import math
from pathlib import Path

from pkpd.distributions import HalfNormal, Normal

REFERENCE = json.loads((Path(__file__).parents[1] / "reference" / "baskets.json").read_text())
BASKETS = REFERENCE["baskets"]
IMATINIB = BASKETS["imatinib_chugh2009"]
TAU = HalfNormal(1.0)


def mu_prior(basket) -> Normal:
    """Normal(logit p0, 2), the prior of the reference values."""
    return Normal(math.log(basket["p0"] / (1 - basket["p0"])), 2.0)
