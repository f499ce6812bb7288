"""The store of finished work: what comes back, what changes a key, damage, a full disk, pruning."""

from __future__ import annotations

import errno
import os
import time
import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import pkpd
from pkpd.errors import FitError, InputError, PkpdWarning
from pkpd.store import Store, fingerprint, open_store, remembered

VALUES = {
    "text": {
        "ofv": 0.1 + 0.2,
        "nan": float("nan"),
        "table": pd.DataFrame({"a": [1.5, np.inf]}, index=["x", "y"]),
    },
    "arrays": {"x": np.array([[0.1, np.nan], [-0.0, 1e-320]]), "n": np.arange(3)},
    "names": {"who": np.array(["a", 1], dtype=object)},
}


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


@pytest.mark.parametrize("kind", VALUES)
def test_values_come_back_bit_for_bit(store, kind):
    store.put("key", VALUES[kind])
    found = store.get("key")
    for name, value in VALUES[kind].items():
        if isinstance(value, np.ndarray) and value.dtype != object:
            assert found[name].tobytes() == value.tobytes() and found[name].dtype == value.dtype
        elif isinstance(value, pd.DataFrame):
            pd.testing.assert_frame_equal(found[name], value, check_exact=True)
        else:
            assert repr(found[name]) == repr(value)
    assert store.get("other") is None
    assert store.keys() == ["key"]


def test_an_entry_is_replaced_whatever_its_kind(store):
    store.put("key", VALUES["arrays"])
    store.put("key", 2)
    assert store.get("key") == 2 and store.keys() == ["key"]
    store.remove("key")
    assert store.get("key") is None


def test_a_key_depends_on_all_that_goes_into_the_work():
    data, model = pkpd.load_dataset("theophylline"), pkpd.load_model("theophylline")
    frame = data.frame.copy()
    frame.loc[3, "DV"] += 1e-12
    parts = [
        (data, model, pkpd.FOCEI()),
        (replace(data, frame=frame), model, pkpd.FOCEI()),
        (data.select(data.subjects[::-1]), model, pkpd.FOCEI()),
        (data, model.replace(theta={"CL": 3.0001}), pkpd.FOCEI()),
        (data, model.fix("CL"), pkpd.FOCEI()),
        (data, model, pkpd.FOCEI(tolerance=1e-9)),
        (data, model, pkpd.FOCEI(), 1),
        (data, model, pkpd.FOCEI(), 1.0),
        (data, model, pkpd.FOCEI(), "1"),
        (data, model, pkpd.FOCEI(), [1]),
        (data, model, pkpd.FOCEI(), {"n": 1}),
        (data, model, pkpd.FOCEI(), np.array([1])),
        (data, model, pkpd.FOCEI(), pd.DataFrame({"n": [1]})),
        (data, model, pkpd.FOCEI(), None),
    ]
    keys = [fingerprint(*p) for p in parts]
    assert len(set(keys)) == len(keys)
    again = pkpd.load_dataset("theophylline"), pkpd.load_model("theophylline"), pkpd.FOCEI()
    assert fingerprint(*again) == keys[0]
    with pytest.raises(TypeError, match="object"):
        fingerprint(object())


@pytest.mark.parametrize("kind", VALUES)
@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "foreign"])
def test_a_damaged_entry_is_done_again(store, kind, damage):
    store.put("key", VALUES[kind])
    path = next(p for p in store.folder.iterdir() if p.stem == "key")
    content = path.read_bytes()
    path.write_bytes(
        {
            "cut": content[:-5],
            "flipped": content[:-5] + bytes([content[-5] ^ 1]) + content[-4:],
            "empty": b"",
            "foreign": b"not an entry",
        }[damage]
    )
    with pytest.warns(PkpdWarning, match="W_STORE_UNREADABLE"):
        assert store.get("key") is None
    assert store.keys() == []
    store.put("key", VALUES[kind])
    assert store.get("key") is not None


def full(*_):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_leaves_what_was_there(store, monkeypatch):
    store.put("key", 1)
    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(FitError, match=r"E_STORE_WRITE.*No space left"):
        store.put("key", 2)
    assert store.get("key") == 1
    assert [p.name for p in store.folder.iterdir()] == ["key.json"]


def test_work_goes_on_where_the_store_is_full(store, monkeypatch):
    monkeypatch.setattr(os, "replace", full)
    known, keep = remembered(store, ["a", "b"])
    assert known == {}
    with pytest.warns(PkpdWarning, match="W_STORE_WRITE"):
        keep(0, 1.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        keep(1, 2.0)


def test_results_are_remembered(store):
    _, keep = remembered(store, ["a", "b"])
    keep(1, 2.0)
    assert remembered(store, ["a", "b"])[0] == {1: 2.0}
    assert remembered(None, ["a"])[0] == {}


def test_the_least_recently_used_is_pruned(store):
    for age, key in ((300, "old"), (200, "older_but_used"), (100, "new")):
        store.put(key, "x" * 1000)
        when = time.time() - age
        os.utime(store.folder / f"{key}.json", (when, when))
    store.get("older_but_used")
    assert store.prune(max_bytes=2500) == 1
    assert store.keys() == ["new", "older_but_used"]
    assert store.prune(days=50 / 86400) == 1
    assert store.keys() == ["older_but_used"]
    (store.folder / ".partial-x").touch()
    os.utime(store.folder / ".partial-x", (0, 0))
    Store(store.folder)
    assert not (store.folder / ".partial-x").exists()


def test_a_folder_that_cannot_be_used_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="E_STORE_FOLDER"):
        Store(tmp_path / "file")
    assert open_store(None) is None
    assert open_store(tmp_path / "new").folder == tmp_path / "new"
