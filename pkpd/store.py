"""The one store of finished work: entries named after a hash of everything that they depend on.

An entry is written to a temporary file and renamed, so that it is whole or absent, and begins with the hash of what follows,
so that damage is seen. Two processes may use one folder.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import io
import os
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pkpd.errors import FitError, InputError, PkpdError, PkpdWarning
from pkpd.results import from_json, to_json

__all__ = ["Store", "fingerprint", "open_store", "remembered"]

_TEXT, _ARRAYS = ".json", ".npz"


def fingerprint(*parts: Any) -> str:
    """Hash of data, model, settings … and of this version of pkpd: the name of an entry.

    Parameters
    ----------
    parts
        Plain values, arrays, tables, mappings and sequences of them; frozen dataclasses (settings); and whatever has a
        ``fingerprint()`` of its own (models, data sets).

    Returns
    -------
    str
        40 hexadecimal digits. Any change in the sources of pkpd changes it: no entry outlives the code that made it.
    """
    digest = hashlib.sha256(_sources().encode())
    for part in parts:
        _feed(digest, part)
    return digest.hexdigest()[:40]


@cache
def _sources() -> str:
    digest = hashlib.sha256()
    package = Path(__file__).parent
    for path in sorted(package.rglob("*.py")):
        digest.update(path.relative_to(package).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def _feed(digest: Any, value: Any) -> None:
    kind = type(value)
    if value is None or isinstance(value, (bool, int, float, str, np.generic)):
        digest.update(f"{kind.__name__} {value!r}\0".encode())
    elif isinstance(value, np.ndarray):
        digest.update(f"ndarray {value.dtype} {value.shape}\0".encode())
        if value.dtype == object:
            for item in value.ravel().tolist():
                _feed(digest, item)
        else:
            digest.update(np.ascontiguousarray(value).tobytes())
    elif isinstance(value, pd.DataFrame):
        digest.update(f"DataFrame {value.shape}\0".encode())
        _feed(digest, value.index.to_numpy())
        for name in value.columns:
            _feed(digest, str(name))
            _feed(digest, value[name])
    elif isinstance(value, (pd.Series, pd.Index)):
        plain = value.dtype.kind in "biuf" if isinstance(value.dtype, np.dtype) else False
        _feed(digest, value.to_numpy() if plain else value.to_numpy(dtype=object))
    elif isinstance(value, Mapping):
        digest.update(f"mapping {len(value)}\0".encode())
        for key in sorted(value, key=str):
            _feed(digest, str(key))
            _feed(digest, value[key])
    elif isinstance(value, (list, tuple)):
        digest.update(f"sequence {len(value)}\0".encode())
        for item in value:
            _feed(digest, item)
    elif callable(getattr(value, "fingerprint", None)):
        digest.update(f"{kind.__name__} {value.fingerprint()}\0".encode())
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        digest.update(f"{kind.__module__}.{kind.__qualname__}\0".encode())
        for field in dataclasses.fields(value):
            _feed(digest, field.name)
            _feed(digest, getattr(value, field.name))
    elif callable(value) and hasattr(value, "__qualname__"):
        digest.update(f"{value.__module__}.{value.__qualname__}\0".encode())
    else:
        raise TypeError(f"{kind.__name__} has no fingerprint")


class Store:
    """A folder of finished work.

    Parameters
    ----------
    folder : path
        Made if it is not there.
    max_bytes : int
        What :meth:`prune` leaves at most; it is called when a store is opened.

    Raises
    ------
    InputError
        ``E_STORE_FOLDER`` if the folder cannot be made or written to.
    """

    def __init__(self, folder: str | os.PathLike[str], *, max_bytes: int = 2**31) -> None:
        if not isinstance(folder, (str, os.PathLike)):
            raise InputError(
                "E_STORE_FOLDER", f"{folder!r} is no folder.", "Give its path, or a pkpd.store.Store."
            )
        self.folder, self.max_bytes = Path(folder).expanduser(), max_bytes
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.folder):
                pass
        except OSError as error:
            raise InputError(
                "E_STORE_FOLDER",
                f"{self.folder} cannot be used as a store: {error.strerror or error}.",
                "Give a folder that can be written to.",
            ) from error
        self.prune()

    def put(self, key: str, value: Any) -> None:
        """Keep a value: a mapping of arrays as ``.npz``, anything else that :func:`pkpd.results.to_json` writes as text.

        Raises
        ------
        FitError
            ``E_STORE_WRITE`` if it cannot be written (a full disk); what was there before is untouched.
        """
        arrays = (
            isinstance(value, Mapping)
            and len(value) > 0
            and all(isinstance(v, np.ndarray) and v.dtype != object for v in value.values())
        )
        if arrays:
            stream = io.BytesIO()
            np.savez(stream, **{str(k): v for k, v in value.items()})
            body = stream.getvalue()
        else:
            body = to_json(value).encode()
        path = self._path(key, _ARRAYS if arrays else _TEXT)
        partial = None
        try:
            handle, partial = tempfile.mkstemp(dir=self.folder, prefix=".partial-")
            with os.fdopen(handle, "wb") as file:
                file.write(hashlib.sha256(body).hexdigest().encode() + b"\n" + body)
            os.replace(partial, path)
        except OSError as error:
            if partial is not None:
                with contextlib.suppress(OSError):
                    os.unlink(partial)
            raise FitError(
                "E_STORE_WRITE",
                f"an entry of {len(body)} bytes could not be written to {self.folder}: {error.strerror or error}.",
                "Make room on the disk, or give another folder; entries that were written are safe.",
            ) from error
        other = self._path(key, _TEXT if arrays else _ARRAYS)
        other.unlink(missing_ok=True)

    def get(self, key: str) -> Any:
        """Value that was kept under a key; None if there is none.

        Warns
        -----
        PkpdWarning
            ``W_STORE_UNREADABLE`` if the entry is damaged: it is removed, so that its work is done again.
        """
        for suffix in (_TEXT, _ARRAYS):
            path = self._path(key, suffix)
            try:
                content = path.read_bytes()
            except FileNotFoundError:
                continue
            except OSError as error:
                self._unreadable(path, error.strerror or str(error))
                return None
            checksum, _, body = content.partition(b"\n")
            if hashlib.sha256(body).hexdigest().encode() != checksum:
                self._unreadable(path, "its content is not what was written")
                return None
            try:
                value = _arrays(body) if suffix == _ARRAYS else from_json(body.decode())
            except (PkpdError, ValueError, TypeError) as error:
                self._unreadable(path, str(error))
                return None
            with contextlib.suppress(OSError):
                os.utime(path)  # the least recently used are pruned first
            return value
        return None

    def remove(self, key: str) -> None:
        """Forget an entry, if it is there."""
        for suffix in (_TEXT, _ARRAYS):
            self._path(key, suffix).unlink(missing_ok=True)

    def keys(self) -> list[str]:
        """Keys of all entries, in order."""
        return sorted(path.stem for path, _ in self._entries())

    def prune(self, max_bytes: int | None = None, days: float | None = None) -> int:
        """Remove the entries that were used longest ago.

        Parameters
        ----------
        max_bytes : int, optional
            What may stay; the store's own limit by default.
        days : float, optional
            Remove also what has not been used for so long.

        Returns
        -------
        int
            Number of entries removed.
        """
        limit, now = self.max_bytes if max_bytes is None else max_bytes, time.time()
        for partial in self.folder.glob(".partial-*"):  # left behind by a process that was killed
            with contextlib.suppress(OSError):
                if now - partial.stat().st_mtime > 86400:
                    partial.unlink()
        kept = removed = 0
        for path, status in sorted(self._entries(), key=lambda e: (-e[1].st_mtime, e[0].name)):
            kept += status.st_size
            if kept > limit or (days is not None and now - status.st_mtime > days * 86400):
                kept -= status.st_size
                with contextlib.suppress(OSError):
                    path.unlink()
                    removed += 1
        return removed

    def _entries(self) -> list[tuple[Path, os.stat_result]]:
        found = []
        for path in self.folder.iterdir():
            if path.suffix in (_TEXT, _ARRAYS) and not path.name.startswith("."):
                with contextlib.suppress(OSError):  # another process may have removed it
                    found.append((path, path.stat()))
        return found

    def _path(self, key: str, suffix: str) -> Path:
        return self.folder / f"{key}{suffix}"

    def _unreadable(self, path: Path, why: str) -> None:
        with contextlib.suppress(OSError):
            path.unlink()
        warnings.warn(
            f"W_STORE_UNREADABLE: {path} cannot be read ({why}); it was removed and its work is done again.",
            PkpdWarning,
            stacklevel=3,
        )

    def __repr__(self) -> str:
        return f"Store({str(self.folder)!r}): {len(self._entries())} entries"


def _arrays(body: bytes) -> dict[str, np.ndarray]:
    import zipfile

    try:
        with np.load(io.BytesIO(body), allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except zipfile.BadZipFile as error:
        raise ValueError(str(error)) from error


def open_store(store: Store | str | os.PathLike[str] | None) -> Store | None:
    """Store that an argument ``store=`` names: a folder, a store, or None for none."""
    return store if store is None or isinstance(store, Store) else Store(store)


def remembered(store: Store | None, keys: Sequence[str]) -> tuple[dict[int, Any], Callable[[int, Any], None]]:
    """What :func:`pkpd.parallel.run` takes as ``known`` and ``keep``: results in the store, and how to add to them.

    A store that can no longer be written is a warning, ``W_STORE_WRITE``, once: the work goes on without it.
    """
    known = {} if store is None else {i: v for i, k in enumerate(keys) if (v := store.get(k)) is not None}
    writable = store is not None

    def keep(i: int, value: Any) -> None:
        nonlocal writable
        if not writable:
            return
        assert store is not None
        try:
            store.put(keys[i], value)
        except FitError as error:
            writable = False
            warnings.warn(
                f"W_STORE_WRITE: {error.message} The work goes on without the store.",
                PkpdWarning,
                stacklevel=2,
            )

    return known, keep
