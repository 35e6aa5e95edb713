"""Subprocesses that do not outlive the process that started them."""

import ctypes
import signal
import sys

PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


def die_with_parent() -> None:
    """Ask the kernel to kill this process as soon as its parent is gone. Linux only; elsewhere it does nothing.

    An orphan would go on writing while the next attempt already runs. The request is not inherited: it has to be made
    in every child anew, as `preexec_fn` of the call that starts it.
    """
    if _libc is not None:
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
