"""The keys that sign the log's checkpoints and people's tokens, for an installation that has none yet."""

from __future__ import annotations

import os
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

FILE_NAME = "signing-key.pem"
TOKEN_KEY_FILE_NAME = "token-key.pem"  # noqa: S105  a file's name


def signing_key_file(folder: Path, name: str = FILE_NAME) -> Path:
    """The file with an Ed25519 private key (PEM, PKCS #8, mode 0600) in `folder`, made on first use."""
    path = folder / name
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft = path.with_suffix(f".{os.getpid()}")
        draft.touch(mode=0o600)
        draft.write_bytes(Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        try:
            # Fails if somebody else was quicker: their key is the one that counts.
            os.link(draft, path)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return path
