"""The key that wraps the keys of encrypted fields, for an installation that has none yet."""

from __future__ import annotations

import base64
import os
from pathlib import Path

FILE_NAME = "master-key"


def master_key_file(folder: Path) -> Path:
    """The file with the base64 of 32 random bytes (mode 0600) in `folder`, made on first use."""
    path = folder / FILE_NAME
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft = path.with_suffix(f".{os.getpid()}")
        draft.touch(mode=0o600)
        draft.write_bytes(base64.b64encode(os.urandom(32)) + b"\n")
        try:
            # Fails if somebody else was quicker: their key is the one that counts.
            os.link(draft, path)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return path
