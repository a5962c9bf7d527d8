"""A witness: cosigns a log's checkpoints, each only after a proof that it goes on from the last one (C2SP tlog-witness).

    python -m auditlog_verify.witness --name example.org/witness --key witness.pem --state witness.json --log LOG-KEY ...

Whoever trusts the witness then knows that the log has shown everybody the same history. Run it elsewhere than the log.

Invariants: a size and root are on disk before they are cosigned; what is on disk never goes back; one request at a time.
"""

from __future__ import annotations

import argparse
import base64
import binascii
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from auditlog_verify.merkle import EMPTY_ROOT, ProofError, check_consistency
from auditlog_verify.notes import COSIGNATURE, Checkpoint, Note, NoteError, VerifierKey, cosign, is_key_name

MAX_BODY_BYTES = 64 * 1024
MAX_PROOF_LINES = 63
SIZE_TYPE = "text/x.tlog.size"


@dataclass(frozen=True)
class Answer:
    """Status and body of an answer to `add-checkpoint`."""

    status: int
    body: str
    content_type: str = "text/plain; charset=utf-8"


class Witness:
    """The witness itself, without HTTP. `state` is the file that it keeps sizes and roots in."""

    def __init__(self, name: str, private_key: Ed25519PrivateKey, logs: Iterable[VerifierKey], state: Path, clock: Callable[[], float] = time.time) -> None:
        if not is_key_name(name):
            raise NoteError(f"{name!r} can't be the name of a witness")
        self.name = name
        self._private_key = private_key
        self._logs: dict[str, list[VerifierKey]] = {}
        for key in logs:
            self._logs.setdefault(key.name, []).append(key)
        self._state = state
        self._clock = clock
        self._lock = threading.Lock()
        self._seen: dict[str, tuple[int, bytes]] = {
            origin: (int(size), base64.b64decode(root)) for origin, (size, root) in json.loads(state.read_text() if state.exists() else "{}").items()
        }

    @property
    def key(self) -> VerifierKey:
        """The key by which its cosignatures are verified."""
        return VerifierKey(self.name, self._private_key.public_key().public_bytes_raw(), COSIGNATURE)

    def add_checkpoint(self, body: str) -> Answer:
        """The answer to a request: `old N`, the consistency path, an empty line, the checkpoint."""
        try:
            old_size, path, note = _parse(body)
            checkpoint = Checkpoint.of_text(note.text)
        except (ValueError, binascii.Error) as error:
            return Answer(400, f"{error}\n")
        keys = self._logs.get(checkpoint.origin)
        if keys is None:
            return Answer(404, f"the log {checkpoint.origin} is not one of this witness's\n")
        try:
            note.signed_by(keys)
        except NoteError as error:
            return Answer(403, f"{error}\n")
        if old_size > checkpoint.tree_size:
            return Answer(400, "the old size is larger than the checkpoint's\n")
        with self._lock:
            size, root = self._seen.get(checkpoint.origin, (0, EMPTY_ROOT))
            if old_size != size or (size == checkpoint.tree_size and size and root != checkpoint.root_hash):
                return Answer(409, f"{size}\n", SIZE_TYPE)
            try:
                check_consistency(first_size=size, first_root=root, second_size=checkpoint.tree_size, second_root=checkpoint.root_hash, consistency_path=path)
            except ProofError as error:
                return Answer(422, f"{error}\n")
            self._keep(checkpoint)
            return Answer(200, cosign(self._private_key, self.name, note.text, time_seconds=int(self._clock())).encoded)

    def _keep(self, checkpoint: Checkpoint) -> None:
        seen = self._seen | {checkpoint.origin: (checkpoint.tree_size, checkpoint.root_hash)}
        new = self._state.with_name(self._state.name + ".new")
        with new.open("w") as file:
            json.dump({origin: [size, base64.b64encode(root).decode()] for origin, (size, root) in seen.items()}, file)
            file.flush()
            os.fsync(file.fileno())
        new.replace(self._state)
        folder = os.open(self._state.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        self._seen = seen


def _parse(body: str) -> tuple[int, list[bytes], Note]:
    head, found, note = body.partition("\n\n")
    first, *lines = head.split("\n")
    word, _, size = first.partition(" ")
    if not found or word != "old" or not (size.isascii() and size.isdigit() and str(int(size)) == size) or len(lines) > MAX_PROOF_LINES:
        raise NoteError("`old N`, up to 63 lines of proof, an empty line and a checkpoint are expected")
    return int(size), [base64.b64decode(line, validate=True) for line in lines], Note.decode(note)


def server(witness: Witness, host: str, port: int) -> ThreadingHTTPServer:
    """An HTTP server that answers `POST /add-checkpoint` for the witness."""

    class Handler(BaseHTTPRequestHandler):
        timeout = 10

        def do_POST(self) -> None:
            length = self.headers.get("Content-Length", "")
            if self.path != "/add-checkpoint":
                self._answer(Answer(404, "POST /add-checkpoint is all there is\n"))
            elif not length.isdigit() or int(length) > MAX_BODY_BYTES:
                self._answer(Answer(413, f"the body may have {MAX_BODY_BYTES} bytes\n"))
            else:
                try:
                    text = self.rfile.read(int(length)).decode()
                except UnicodeDecodeError:
                    self._answer(Answer(400, "the body is not UTF-8\n"))
                else:
                    self._answer(witness.add_checkpoint(text))

        def _answer(self, answer: Answer) -> None:
            body = answer.body.encode()
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    return ThreadingHTTPServer((host, port), Handler)


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until interrupted. Answers 2 if an argument is wrong."""
    parser = argparse.ArgumentParser(prog="python -m auditlog_verify.witness", description="Cosigns checkpoints of the logs that it is told of.")
    parser.add_argument("--name", required=True, help="the witness's name, such as example.org/witness")
    parser.add_argument("--key", required=True, type=Path, help="Ed25519 private key, PEM")
    parser.add_argument("--state", required=True, type=Path, help="file for what was cosigned; it must never be put back to an older one")
    parser.add_argument("--log", required=True, action="append", help="verifier key of a log (GET /api/v1/integrity/key); may be repeated")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8100)
    options = parser.parse_args(arguments)
    try:
        key = load_pem_private_key(options.key.read_bytes(), password=None)
        if not isinstance(key, Ed25519PrivateKey):
            raise NoteError("the key is no Ed25519 key")
        witness = Witness(options.name, key, [VerifierKey.decode(text) for text in options.log], options.state)
        listening = server(witness, options.host, options.port)
    except (OSError, ValueError, TypeError) as error:
        print(f"CAN'T START: {error}", file=sys.stderr)
        return 2
    print(f"{witness.key.encoded} answers on http://{options.host}:{options.port}", flush=True)
    try:
        listening.serve_forever()
    except KeyboardInterrupt:
        pass
    finally:
        listening.server_close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
