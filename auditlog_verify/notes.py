"""Signed notes and the checkpoints in them: C2SP signed-note, tlog-checkpoint and tlog-cosignature (all v1, Ed25519).

A note is a text and signatures by named keys. A checkpoint is a note that says: the log of this origin has this many
leaves and this root. Our own checkpoints carry two signatures of each key: one over the note, and a timestamped one.
"""

from __future__ import annotations

import base64
import binascii
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from auditlog_verify.merkle import HASH_BYTES

ED25519 = 0x01
COSIGNATURE = 0x04
MAX_NOTE_BYTES = 100_000
_SEPARATOR = "\n\n"
_DASH = "— "


class NoteError(ValueError):
    """A note is malformed, or no key that is trusted has signed it. The message says which."""


@dataclass(frozen=True)
class VerifierKey:
    """A named public key, as a signature line means it. `public_key`: 32 bytes; `kind`: ED25519 or COSIGNATURE."""

    name: str
    public_key: bytes
    kind: int = ED25519

    @property
    def key_id(self) -> bytes:
        """4 bytes: SHA-256(name ‖ "\\n" ‖ kind ‖ public key)[:4]."""
        return sha256(self.name.encode() + b"\n" + bytes([self.kind]) + self.public_key).digest()[:4]

    @property
    def encoded(self) -> str:
        """The "vkey": `name+hex(key id)+base64(kind ‖ public key)`."""
        return f"{self.name}+{self.key_id.hex()}+{_to_base64(bytes([self.kind]) + self.public_key)}"

    @classmethod
    def decode(cls, text: str) -> VerifierKey:
        """The key in a "vkey". Raises NoteError."""
        parts = text.strip().split("+", 2)
        if len(parts) != 3 or not is_key_name(parts[0]):
            raise NoteError(f"{text!r} is no verifier key: name+id+key is expected")
        name, key_id, material = parts
        raw = _from_base64(material, "the verifier key")
        if len(raw) != 33 or raw[0] not in (ED25519, COSIGNATURE):
            raise NoteError("the verifier key is no Ed25519 key")
        key = cls(name, raw[1:], raw[0])
        if key.key_id.hex() != key_id:
            raise NoteError("the verifier key's id does not agree with its name and key")
        return key


@dataclass(frozen=True)
class SignatureLine:
    """One signature of a note. `key_id`: 4 bytes."""

    name: str
    key_id: bytes
    signature: bytes

    @property
    def encoded(self) -> str:
        return f"{_DASH}{self.name} {_to_base64(self.key_id + self.signature)}\n"


@dataclass(frozen=True)
class Signed:
    """Who has signed a note: the key, and the time (seconds since 1970) if the signature is a timestamped one."""

    key: VerifierKey
    time_seconds: int | None = None


@dataclass(frozen=True)
class Note:
    """A text, which ends with a newline, and its signatures."""

    text: str
    signatures: tuple[SignatureLine, ...]

    @property
    def encoded(self) -> str:
        return self.text + "\n" + "".join(line.encoded for line in self.signatures)

    @classmethod
    def decode(cls, encoded: str) -> Note:
        """The note in a text. Raises NoteError."""
        if len(encoded) > MAX_NOTE_BYTES:
            raise NoteError(f"the note is longer than {MAX_NOTE_BYTES} characters")
        if any(character < " " and character != "\n" for character in encoded):
            raise NoteError("the note has a control character")
        head, found, tail = encoded.rpartition(_SEPARATOR)
        if not found or not tail.endswith("\n"):
            raise NoteError("the note has no signatures, or is cut off")
        lines = [_signature_line(line) for line in tail[:-1].split("\n")]
        return cls(head + "\n", tuple(lines))

    def signed_by(self, keys: Iterable[VerifierKey]) -> list[Signed]:
        """Every signature by one of `keys`. Raises NoteError if there is none, or if one of them is wrong."""
        known = {(key.name, key.key_id): key for key in keys}
        found = []
        for line in self.signatures:
            key = known.get((line.name, line.key_id))
            if key is not None:
                found.append(_verified(key, self.text, line.signature))
        if not found:
            raise NoteError("no trusted key has signed this")
        return found


@dataclass(frozen=True)
class Checkpoint:
    """A signed tree head: what a log says of itself. `root_hash`: 32 bytes."""

    origin: str
    tree_size: int
    root_hash: bytes
    extensions: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The note's text."""
        return "\n".join([self.origin, str(self.tree_size), _to_base64(self.root_hash), *self.extensions]) + "\n"

    @classmethod
    def of_text(cls, text: str) -> Checkpoint:
        """The checkpoint that a note's text is. Raises NoteError."""
        lines = text.removesuffix("\n").split("\n")
        if len(lines) < 3 or not all(lines):
            raise NoteError("this is no checkpoint: origin, size and root are expected, each on a line")
        origin, size, root, *extensions = lines
        if not (size.isascii() and size.isdigit() and str(int(size)) == size and int(size) < 2**63):
            raise NoteError("the checkpoint's size is no number")
        root_hash = _from_base64(root, "the checkpoint's root")
        if len(root_hash) != HASH_BYTES:
            raise NoteError("the checkpoint's root has not 32 bytes")
        return cls(origin, int(size), root_hash, tuple(extensions))


@dataclass(frozen=True)
class OpenedCheckpoint:
    """A checkpoint whose signatures have been checked."""

    checkpoint: Checkpoint
    signed: tuple[Signed, ...]
    note: Note


def open_checkpoint(encoded: str, keys: Iterable[VerifierKey], *, origin: str | None = None) -> OpenedCheckpoint:
    """The checkpoint in a signed note that one of `keys` has signed. Raises NoteError otherwise, or for another origin."""
    note = Note.decode(encoded)
    checkpoint = Checkpoint.of_text(note.text)
    if origin is not None and checkpoint.origin != origin:
        raise NoteError(f"the checkpoint is of the log {checkpoint.origin!r}, not of {origin!r}")
    return OpenedCheckpoint(checkpoint, tuple(note.signed_by(keys)), note)


def keys_of(name: str, public_keys: Iterable[bytes]) -> list[VerifierKey]:
    """The verifier keys by which a log of this name signs: each public key for both kinds of signature."""
    return [VerifierKey(name, key, kind) for key in public_keys for kind in (ED25519, COSIGNATURE)]


def sign_checkpoint(checkpoint: Checkpoint, private_keys: Sequence[Ed25519PrivateKey], *, time_seconds: int) -> str:
    """The signed note of a checkpoint: by each key, under the origin's name, a plain signature and a timestamped one."""
    lines: list[SignatureLine] = []
    for private_key in private_keys:
        lines += [_sign(private_key, checkpoint), cosign(private_key, checkpoint.origin, checkpoint.text, time_seconds=time_seconds)]
    return Note(checkpoint.text, tuple(lines)).encoded


def _sign(private_key: Ed25519PrivateKey, checkpoint: Checkpoint) -> SignatureLine:
    key = VerifierKey(checkpoint.origin, private_key.public_key().public_bytes_raw())
    return SignatureLine(key.name, key.key_id, private_key.sign(checkpoint.text.encode()))


def cosign(private_key: Ed25519PrivateKey, name: str, text: str, *, time_seconds: int) -> SignatureLine:
    """The timestamped signature (cosignature/v1) of a checkpoint's text by the cosigner of this name."""
    key = VerifierKey(name, private_key.public_key().public_bytes_raw(), COSIGNATURE)
    signature = private_key.sign(_cosigned_message(time_seconds, text))
    return SignatureLine(name, key.key_id, time_seconds.to_bytes(8, "big") + signature)


def signature_lines(text: str) -> list[SignatureLine]:
    """The signature lines of a text that has nothing else. Raises NoteError."""
    return [_signature_line(line) for line in text.splitlines() if line]


def is_key_name(text: str) -> bool:
    """May this be the name of a key? Not empty, no spaces, no plus, no control character."""
    return bool(text) and "+" not in text and not any(character.isspace() or unicodedata.category(character) == "Cc" for character in text)


def _cosigned_message(time_seconds: int, text: str) -> bytes:
    return f"cosignature/v1\ntime {time_seconds}\n{text}".encode()


def _verified(key: VerifierKey, text: str, signature: bytes) -> Signed:
    public_key = Ed25519PublicKey.from_public_bytes(key.public_key)
    try:
        if key.kind == ED25519:
            public_key.verify(signature, text.encode())
            return Signed(key)
        time_seconds = int.from_bytes(signature[:8], "big")
        public_key.verify(signature[8:], _cosigned_message(time_seconds, text))
        return Signed(key, time_seconds)
    except InvalidSignature:
        raise NoteError(f"the signature by {key.name} is wrong") from None


def _signature_line(line: str) -> SignatureLine:
    if not line.startswith(_DASH):
        raise NoteError("a signature line does not begin with an em dash")
    name, _, encoded = line.removeprefix(_DASH).partition(" ")
    raw = _from_base64(encoded, "a signature")
    if not is_key_name(name) or len(raw) < 5:
        raise NoteError("a signature line is not `— name signature`")
    return SignatureLine(name, raw[:4], raw[4:])


def _to_base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _from_base64(text: str, what: str) -> bytes:
    try:
        return base64.b64decode(text.encode(), validate=True)
    except (binascii.Error, ValueError):
        raise NoteError(f"{what} is not base64") from None
