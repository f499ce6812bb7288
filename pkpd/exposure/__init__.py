"""Exposure of each subject and of each histology, from a population fit and a planned regimen."""

from pkpd.exposure.histologies import HistologyExposure, histology_exposure
from pkpd.exposure.metrics import METRICS, exposure_metrics

__all__ = ["METRICS", "HistologyExposure", "exposure_metrics", "histology_exposure"]
