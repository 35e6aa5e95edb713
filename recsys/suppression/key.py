"""The key under which addresses and ids are kept as hashes: from the environment, never in a file, log or message.

A keyed hash (HMAC-SHA256) can be compared and not be guessed: without the key nobody can try out addresses.
"""

import hashlib
import hmac
import os
from dataclasses import dataclass, field

import duckdb

from recsys.addresses import define_normal_forms
from recsys.errors import SuppressionKeyUnfit

KEY_ENV = "RECSYS_SUPPRESSION_KEY"
FEWEST_BYTES = 32
_BLOCK = 64
_FINGERPRINTED = b"recsys suppression key"


@dataclass(frozen=True)
class Key:
    """The secret. Two keys are told apart by their fingerprint, which is no secret."""

    secret: bytes = field(repr=False)

    @classmethod
    def from_environment(cls) -> "Key | None":
        """The key that RECSYS_SUPPRESSION_KEY holds, None when it is not set or empty.

        Raises SuppressionKeyUnfit, without its value, when it is not at least 32 bytes in hexadecimal.
        """
        text = os.environ.get(KEY_ENV, "")
        if not text:
            return None
        try:
            secret = bytes.fromhex(text)
        except ValueError:
            secret = b""
        if len(secret) < FEWEST_BYTES:
            raise SuppressionKeyUnfit(
                f"{KEY_ENV} is not a key: expected at least {2 * FEWEST_BYTES} hexadecimal digits "
                f"({FEWEST_BYTES} bytes), as `openssl rand -hex {FEWEST_BYTES}` prints them."
            )
        return cls(secret)

    def hash(self, text: str) -> str:
        """Hex HMAC-SHA256 of a text."""
        return hmac.digest(self.secret, text.encode(), "sha256").hex()

    @property
    def fingerprint(self) -> str:
        """What is kept beside hashes, so that another key is noticed."""
        return hmac.digest(self.secret, _FINGERPRINTED, "sha256").hex()

    def define(self, con: duckdb.DuckDBPyConnection) -> None:
        """Make `keyed(text)`, the hash of a text, and the normal forms of addresses known to a connection in memory.

        The key stays in a temporary table of that connection.
        """
        secret = self.secret if len(self.secret) <= _BLOCK else hashlib.sha256(self.secret).digest()
        block = secret.ljust(_BLOCK, b"\0")
        con.execute(
            "CREATE OR REPLACE TEMP TABLE _key AS SELECT $inner::BLOB AS inner_pad, $outer::BLOB AS outer_pad",
            {"inner": bytes(byte ^ 0x36 for byte in block), "outer": bytes(byte ^ 0x5C for byte in block)},
        )
        con.execute(
            "CREATE OR REPLACE TEMP MACRO keyed(text) AS sha256((SELECT outer_pad FROM _key) || "
            "unhex(sha256((SELECT inner_pad FROM _key) || encode(text))))"
        )
        define_normal_forms(con)
