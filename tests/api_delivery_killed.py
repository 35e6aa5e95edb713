"""Deliveries killed at one of their steps and then run again, each in a night of its own below a folder.

`python tests/api_delivery_killed.py TOOL HOST FOLDER EVERY` forks a child for every so many steps, kills it there, and
lets another one finish; it prints as JSON how many steps there were. A step is a line of a journal (before it, in the
middle of it, after it) or a request (before and after it). Polars is not used before forking.
"""

import json
import os
import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import httpx
from api_delivery import delivered_at_last
from publisher_faults import night_below
from tool_servers import Braze, Klaviyo, Server

from recsys.delivery import api
from recsys.delivery.journal import Journal


class Killer:
    """Kills this process at a step; the steps count from 0."""

    def __init__(self, step: int) -> None:
        self.left = step

    def step(self) -> bool:
        self.left -= 1
        return self.left < 0

    def around(self, what: Callable[..., Any]) -> Callable[..., Any]:
        def stepping(*args: Any, **kwargs: Any) -> Any:
            if self.step():
                kill()
            done = what(*args, **kwargs)
            if self.step():
                kill()
            return done

        return stepping

    def halfway(self, write: Callable[[int, Any], int]) -> Callable[[int, Any], int]:
        def stepping(file: int, content: Any) -> int:
            if bytes(content).startswith(b'{"part"') and self.step():
                write(file, content[: len(content) // 2])
                kill()
            return write(file, content)

        return stepping


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class Distant(Server):
    """A server of another process."""

    def __init__(self, host: str) -> None:
        self._host = host

    @property
    def host(self) -> str:
        return self._host


class DistantKlaviyo(Distant, Klaviyo):
    pass


class DistantBraze(Distant, Braze):
    pass


def forked(run: Callable[[], object]) -> int:
    """The exit code of a child that runs this: negative when it was killed."""
    child = os.fork()
    if child == 0:
        try:
            run()
            os._exit(0)
        except BaseException as error:  # noqa: BLE001
            print(repr(error), file=sys.stderr)
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def main(tool: str, host: str, folder: Path, every: int) -> None:
    api._certificates()
    server = (DistantKlaviyo if tool == "klaviyo" else DistantBraze)(host)
    extra = {"updates": 2} if tool == "braze" else {}

    def finished(step: int) -> None:
        delivered_at_last(server, night_below(folder / str(step)), tool, **extra)

    def killed(step: int) -> None:
        killer = Killer(step)
        Journal._write = killer.around(Journal._write)  # type: ignore[method-assign]
        httpx.Client.request = killer.around(httpx.Client.request)  # type: ignore[method-assign]
        os.write = killer.halfway(os.write)
        finished(step)

    step = 0
    while forked(partial(killed, step)) == -signal.SIGKILL:
        if code := forked(partial(finished, step)):
            raise SystemExit(f"step {step}: exit code {code}")
        step += every
    print(json.dumps({"steps": step}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]), int(sys.argv[4]))
