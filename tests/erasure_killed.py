"""Erases, and is killed at one of the steps at which a file gets another name or goes.

`python tests/erasure_killed.py SHOP_FILE DATE STEP CUSTOMER...`; step 0 runs to the end. Prints how many steps it took.
"""

import os
import signal
import sys
from collections.abc import Callable
from datetime import date
from typing import Any

STEPS = ("replace", "rename", "unlink", "rmdir")


def main(shop_file: str, on: str, step: str, *customers: str) -> None:
    from recsys.config import load_shop
    from recsys.erasure.erase import erase

    taken = 0

    def counted(name: str) -> Callable[..., Any]:
        real = getattr(os, name)

        def take(*args: Any, **kwargs: Any) -> Any:
            nonlocal taken
            taken += 1
            if taken == int(step):
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*args, **kwargs)

        return take

    for name in STEPS:
        setattr(os, name, counted(name))
    erase(load_shop(shop_file), customers, date.fromisoformat(on))
    sys.stdout.write(f"{taken}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
