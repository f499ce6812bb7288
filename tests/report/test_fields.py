from __future__ import annotations

import pytest

from pkpd.errors import InputError
from pkpd.report import field_value
from tests.report.synthetic import assessment

MADE = assessment()


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("verdicts.ratio[1]", MADE.verdicts["ratio"].iloc[1]),
        ("endpoints[1].contrasts.lower[2]", MADE.endpoints[1].contrasts["lower"].iloc[2]),
        ("pk.likelihood_ratio.p_value", 2.3e-34),
        ("pk.parameters.index[0]", "CL"),
        ("plan.exposure.bounds[1]", 1.25),
        ("exchangeability.table.se[3]", MADE.exchangeability["table"]["se"].iloc[3]),
        ("title", MADE.title),
    ],
)
def test_a_path_leads_to_its_value(path, value):
    assert field_value(MADE, path) == value


@pytest.mark.parametrize(
    "path", ["verdicts.nothing[0]", "verdicts.ratio[99]", "endpoints[7].name", "plan.x", "pk.ofv[0]"]
)
def test_a_path_that_leads_nowhere_is_refused(path):
    with pytest.raises(InputError) as caught:
        field_value(MADE, path)
    assert caught.value.code == "E_FIELD" and path in str(caught.value)


def test_what_is_no_path_is_refused():
    with pytest.raises(InputError, match="E_FIELD"):
        field_value(MADE, "verdicts.ratio[one]")
