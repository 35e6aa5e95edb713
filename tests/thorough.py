"""How many examples a law is tried on: all of them where tests are thorough, as in CI, a quarter otherwise."""

import os

THOROUGH = bool(os.environ.get("RECSYS_THOROUGH"))


def tries(number: int) -> int:
    """`number` if tests are thorough; else a quarter of it, and at least five."""
    return number if THOROUGH else max(5, number // 4)
