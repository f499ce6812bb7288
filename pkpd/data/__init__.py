"""Tables in the NONMEM convention: read, checked, and held as records with one slice per subject."""

from __future__ import annotations

from pkpd.data.dataset import Dataset
from pkpd.data.intake import check, load_dataset, read_dataset

__all__ = ["Dataset", "check", "load_dataset", "read_dataset"]
