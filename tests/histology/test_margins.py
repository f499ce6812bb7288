import pytest

from pkpd.errors import InputError
from pkpd.histology import Margins
from pkpd.results import from_json, to_json

GOOD = {
    "bounds": (0.80, 1.25),
    "delta_efficacy": 0.15,
    "delta_safety": 0.10,
    "p0": {"gastric": 0.20},
    "candidate_doses": (1.0, 0.5),
    "reference_dose": 1.0,
}


def test_clinical_margins_have_no_defaults():
    for name in GOOD:
        with pytest.raises(TypeError, match=name):
            Margins(**{key: value for key, value in GOOD.items() if key != name})


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"bounds": (1.25, 0.80)}, "E_MARGIN_BOUNDS"),
        ({"bounds": (0.80, 0.95)}, "E_MARGIN_BOUNDS"),
        ({"bounds": (0.4, 1.25)}, "E_MARGIN_BOUNDS"),
        ({"bounds": (0.67, 1.5)}, "E_MARGIN_BOUNDS_SOURCE"),
        ({"delta_efficacy": 0.0}, "E_MARGIN_DELTA"),
        ({"delta_efficacy": 15}, "E_MARGIN_DELTA"),
        ({"delta_safety": -0.1}, "E_MARGIN_DELTA"),
        ({"delta_safety_overrides": {"hcc": 5}}, "E_MARGIN_DELTA"),
        ({"p0": {"gastric": 20}}, "E_MARGIN_P0"),
        ({"p0": 0.2}, "E_MARGIN_P0"),
        ({"candidate_doses": ()}, "E_MARGIN_DOSES"),
        ({"candidate_doses": (1.0, 1.0)}, "E_MARGIN_DOSES"),
        ({"candidate_doses": (0.0, 1.0)}, "E_MARGIN_DOSES"),
        ({"reference_dose": 2.0}, "E_MARGIN_DOSES"),
        ({"threshold_keep": 0.2}, "E_MARGIN_THRESHOLD"),
        ({"minimum_n": 0}, "E_MARGIN_THRESHOLD"),
    ],
)
def test_unusable_margins_are_refused(change, code):
    with pytest.raises(InputError) as caught:
        Margins(**{**GOOD, **change})
    assert caught.value.code == code
    assert caught.value.remedy


def test_wider_bounds_pass_with_their_source():
    assert Margins(**{**GOOD, "bounds": (0.67, 1.5), "bounds_source": "HELOISE"}).bounds == (0.67, 1.5)


def test_doses_are_sorted_and_overrides_apply():
    margins = Margins(**GOOD, delta_safety_overrides={"hcc": 0.05})
    assert margins.candidate_doses == (0.5, 1.0)
    assert margins.delta_safety_of("hcc") == 0.05
    assert margins.delta_safety_of("gastric") == 0.10


def test_p0_is_asked_for_by_name():
    assert Margins(**GOOD).p0_of("gastric") == 0.20
    with pytest.raises(InputError, match=r"E_MARGIN_P0.*breast"):
        Margins(**GOOD).p0_of("breast")


def test_json_round_trip():
    assert from_json(to_json(Margins(**GOOD))) == Margins(**GOOD)
