"""Non-compartmental analysis: areas, terminal slope and what follows from them, without a model."""

from __future__ import annotations

from pkpd.noncompartmental.analysis import Noncompartmental, nca

__all__ = ["Noncompartmental", "nca"]
