"""Shows the keys that sign checkpoints and verify them, or makes a new one."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError, CommandParser

from logs.integrity import keys


class Command(BaseCommand):
    help = (
        "Prints the public keys by which checkpoints are trusted, the newest first. To rotate: make a new key, put its PEM before the old one's "
        "in the file of AUDITLOG_SIGNING_KEY_FILE (both sign), tell whoever verifies, then take the old one out and its public key into "
        "AUDITLOG_VERIFIER_KEYS."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--new", type=Path, metavar="FILE", help="Make a key in a new file (mode 0600) and print its public key.")
        parser.add_argument("--public", action="store_true", help="Print the keys as the value of AUDITLOG_VERIFIER_KEYS, on one line.")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["new"]:
            key = Ed25519PrivateKey.generate()
            try:
                descriptor = os.open(options["new"], os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            except OSError as error:
                raise CommandError(f"{options['new']}: {error.strerror}. A key is never written over another file.") from error
            with os.fdopen(descriptor, "wb") as opened:
                opened.write(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
            self.stdout.write(keys.encode_public_keys([key.public_key().public_bytes_raw()]))
            return
        try:
            found = keys.public_keys()
        except ImproperlyConfigured as error:
            raise CommandError(str(error)) from error
        if options["public"]:
            self.stdout.write(keys.encode_public_keys(found))
            return
        for number, public_key in enumerate(found):
            self.stdout.write(f"{keys.encode_public_keys([public_key])}{'' if number else '   (newest)'}")
