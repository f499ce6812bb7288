"""From a model and a regimen to concentration-time profiles."""

from pkpd.simulation.event_times import simulate_events
from pkpd.simulation.regimen import Regimen, dose
from pkpd.simulation.simulate import predict, simulate

__all__ = ["Regimen", "dose", "predict", "simulate", "simulate_events"]
