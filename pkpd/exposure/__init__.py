"""Exposure of each subject, over time, and of each histology, from a population fit under planned or actual doses."""

from pkpd.exposure.explained import mediation
from pkpd.exposure.histologies import HistologyExposure, histology_exposure
from pkpd.exposure.intervals import INTERVAL_METRICS, interval_exposure
from pkpd.exposure.metrics import METRICS, exposure_metrics

__all__ = [
    "INTERVAL_METRICS",
    "METRICS",
    "HistologyExposure",
    "exposure_metrics",
    "histology_exposure",
    "interval_exposure",
    "mediation",
]
