"""Times to event: their distribution against that of the hazard in closed form."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import kstest, spearmanr

import pkpd
from pkpd import exp
from pkpd.kernels.draws import draw_residuals
from tests.population.test_interval_events import SCALE, SHAPE, cumulative, progression

EXACT = {"SCALE": 1e-12}  # no frailty, so that the distribution is known


@pkpd.model
def death(m):
    """The same hazard as that of ``progression``, with exact times, beside a constant one of its own."""
    k = m.theta("K", 0.2, fixed=True)
    scale = m.parameter("SCALE", m.theta("SCALE", SCALE, lower=0) * exp(m.eta("SCALE", variance=0.3)))
    shape = m.theta("SHAPE", SHAPE, lower=0)
    central = m.compartment("central")
    m.ode(central, -k * central)
    h = shape / scale * ((m.time + 1e-9) / scale) ** (shape - 1) * exp(-m.theta("EFFECT", 0.8) * central)
    m.hazard("death", h)
    m.hazard("dropout", m.theta("DROPOUT", 0.05, lower=0))


def subjects(n, dose=2.2):
    rows = [(i + 1, t, e, dose * e, 0.0) for i in range(n) for t, e in ((0.0, 1), (4.0, 0), (9.0, 0))]
    return pkpd.read_dataset(pd.DataFrame(rows, columns=["ID", "TIME", "EVID", "AMT", "DV"]))


@pytest.mark.parametrize(("model", "endpoint"), [(death, "death"), (death, 2), (progression, None)])
def test_the_distribution_is_that_of_the_hazard(model, endpoint):
    """Cumulative hazards at the events are exponential; at 1000 draws a wrong constant of 10 % would be 3 SEs away."""
    drawn = pkpd.simulate_events(
        model.replace(omega=EXACT), subjects(250), 400.0, seed=3, endpoint=endpoint, replicates=4
    )
    assert drawn.EVENT.all() and len(drawn) == 1000
    area = 0.05 * drawn.TIME if endpoint == 2 else [cumulative(t, SCALE, 2.2) for t in drawn.TIME]
    assert kstest(area, "expon").pvalue > 0.01
    # the time itself does not depend on how long the follow-up would have been: brackets are 1/32768 of it
    if endpoint != 2:
        again = pkpd.simulate_events(
            model.replace(omega=EXACT), subjects(250), 100.0, seed=3, endpoint=endpoint
        )
        first = drawn[drawn.REP == 1]
        both = (again.EVENT == 1).to_numpy()
        np.testing.assert_allclose(again.TIME[both], first.TIME[both], rtol=1e-4, atol=2e-4)
        assert (again.TIME[~both] == 100.0).all() and (first.TIME[~both] > 99.9).all()


def test_the_hazards_of_a_subject_are_drawn_apart():
    """Of one seed too: the earliest of both events then has the sum of both hazards."""
    table, model = subjects(1000), death.replace(omega=EXACT)
    times = [pkpd.simulate_events(model, table, 400.0, seed=3, endpoint=k).TIME for k in ("death", "dropout")]
    assert abs(spearmanr(*times).statistic) < 3 / np.sqrt(1000)
    total = [cumulative(t, SCALE, 2.2) + 0.05 * t for t in np.minimum(*times)]
    assert kstest(total, "expon").pvalue > 0.01
    # nor do they follow the residual errors of a simulation with that seed
    noise = np.zeros(1000)
    draw_residuals(3, 0, 0, np.arange(1001), noise)
    assert abs(spearmanr(times[0], noise).statistic) < 3 / np.sqrt(1000)


def test_what_cannot_be_drawn_is_refused():
    with pytest.raises(pkpd.InputError, match=r"E_EVENT_ENDPOINT.*death \(DVID 1\), dropout \(DVID 2\)"):
        pkpd.simulate_events(death, subjects(2), 30.0)
    with pytest.raises(pkpd.InputError, match=r"E_ARGUMENT.*until"):
        pkpd.simulate_events(progression, subjects(2), -1.0)
