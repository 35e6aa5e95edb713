"""Requests to a tool's API: at its pace, its key never in anything but the calls that delivery makes.

Connections are not kept: one that the server closes while the next request is on its way would leave doubt about a
request that never arrived.
"""

import logging
import re
import ssl
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import httpx
from pydantic import SecretStr

from recsys.delivery.answers import GONE, Answer, Fate, answer_of, denied_advice, object_in, objects_in
from recsys.delivery.credentials import Connection, variable_of
from recsys.errors import CannotDeliver, ConfigError, Transient

LOOPBACK = {"127.0.0.1", "::1", "localhost"}


@dataclass(frozen=True)
class Clock:
    """How time passes: seconds of a clock that only runs forward, and how to let some pass."""

    seconds: Callable[[], float] = time.monotonic
    sleep: Callable[[float], object] = time.sleep


@dataclass(frozen=True)
class Pace:
    """How fast and how often a tool may be asked; seconds throughout."""

    between: float
    """From the start of one request to the start of the next."""
    tries: int = 6
    first_wait: float = 1.0
    """Before the second try; doubled before each further one, unless the tool names a time."""
    longest_wait: float = 900.0
    connect: float = 10.0
    answer: float = 60.0


@dataclass
class Api:
    """One tool's API. `calls` are the only requests that can be made: method and path, as regular expressions."""

    address: str
    calls: tuple[str, ...]
    pace: Pace
    clock: Clock
    client: httpx.Client = field(repr=False)
    _next: float = field(default=float("-inf"), init=False, repr=False)

    def knock(self) -> None:
        """Open the address without the key. Raises Transient when nobody answers there."""
        try:
            self.client.get("/", auth=None)
        except httpx.HTTPError as error:
            raise Transient(f"{self.address}: no answer ({type(error).__name__}).") from None

    def post(self, path: str, body: bytes) -> Answer:
        """Send once."""
        return self._ask("POST", path, content=body)

    def get(self, path: str, parameters: Mapping[str, str | int] | None = None) -> dict[str, Any] | None:
        """The JSON object at a path, asked for again while waiting may help; None when there is nothing at that path.

        Raises Transient, and CannotDeliver when the tool does not let us look.
        """
        answer = Answer(Fate.UNKNOWN, "not asked")
        for number in range(self.pace.tries):
            if number:
                self.wait(answer, number)
            answer = self._ask("GET", path, params=dict(parameters or {}))
            if answer.content is not None and answer.fate is Fate.ACCEPTED:
                return answer.content
            if answer.reason in GONE:
                return None
            if answer.fate in {Fate.REFUSED, Fate.DENIED}:
                raise CannotDeliver(f"{self.address}{path}: {answer.reason}. {denied_advice(answer)}")
        raise Transient(f"{self.address}{path}: {answer.reason}, {self.pace.tries} times. Run deliver again later.")

    def pages(self, path: str, parameters: Mapping[str, str | int], most: int) -> Iterator[dict[str, Any]]:
        """The entries of a JSON:API collection, over at most so many pages."""
        cursor: str | None = None
        for _ in range(most):
            content = self.get(path, {**parameters, **({"page[cursor]": cursor} if cursor else {})}) or {}
            yield from objects_in(content, "data")
            following = object_in(content, "links").get("next")
            cursor = httpx.URL(following).params.get("page[cursor]") if isinstance(following, str) else None
            if not cursor:
                return

    def wait(self, answer: Answer, tried: int) -> None:
        """Let as much time pass as the tool asked for, or more after each try. Raises Transient if that is too long."""
        seconds = self.pace.first_wait * 2 ** (tried - 1) if answer.wait is None else answer.wait
        if seconds > self.pace.longest_wait:
            raise Transient(f"{self.address}: asks to wait {seconds:.0f} seconds. Run deliver again after that.")
        self.clock.sleep(seconds)

    def _ask(self, method: str, path: str, **content: Any) -> Answer:
        if not any(re.fullmatch(call, f"{method} {path}") for call in self.calls):
            raise CannotDeliver(f"{method} {path}: not among the calls that delivery makes: {', '.join(self.calls)}.")
        if (early := self._next - self.clock.seconds()) > 0:
            self.clock.sleep(early)
        self._next = self.clock.seconds() + self.pace.between
        try:
            response = self.client.request(method, path, **content)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            return Answer(Fate.NOT_ACCEPTED, f"no connection ({type(error).__name__})")
        except httpx.TransportError as error:
            return Answer(Fate.UNKNOWN, f"no answer ({type(error).__name__})")
        except httpx.HTTPError as error:
            return Answer(Fate.UNKNOWN, f"no readable answer ({type(error).__name__})")
        return answer_of(response)


def connect(
    connection: Connection,
    *,
    default: str | None,
    scheme: str,
    headers: Mapping[str, str],
    calls: tuple[str, ...],
    pace: Pace,
    clock: Clock,
) -> Api:
    """The API at a connection's host, its password as the key. Raises ConfigError without a key or over plain HTTP."""
    host = connection.host or default
    if not host:
        raise ConfigError(
            f"connection '{connection.name}': no host. The address of the tool's REST endpoint belongs there, as in "
            f'{variable_of(connection.name)}=\'{{"host": "https://rest.fra-01.braze.eu", "password": ...}}\'; '
            "in Airflow it is the connection's host."
        )
    url = httpx.URL(host if "://" in host else f"https://{host}")
    if connection.port:
        url = url.copy_with(port=connection.port)
    if url.scheme != "https" and url.host not in LOOPBACK:
        raise ConfigError(
            f"connection '{connection.name}': {url.scheme}://{url.host} would send the key in clear; give it as https."
        )
    if not connection.password.get_secret_value():
        raise ConfigError(
            f"connection '{connection.name}': no password. The tool's API key belongs there: as password in "
            f"{variable_of(connection.name)}, or in the connection of Airflow."
        )
    logging.getLogger("httpx").setLevel(logging.WARNING)
    client = httpx.Client(
        base_url=url,
        auth=_Key(scheme, connection.password),
        headers={**headers, "User-Agent": "recsys"},
        timeout=httpx.Timeout(pace.answer, connect=pace.connect),
        limits=httpx.Limits(max_keepalive_connections=0),
        verify=_certificates(),
    )
    return Api(f"{url.scheme}://{url.netloc.decode('ascii')}", calls, pace, clock, client)


@cache
def _certificates() -> ssl.SSLContext:
    """Whose certificates are believed, read once per process."""
    return httpx.create_ssl_context()


class _Key(httpx.Auth):
    """Puts the key into each request at the last moment; it stands nowhere else."""

    def __init__(self, scheme: str, key: SecretStr) -> None:
        self._scheme, self._key = scheme, key

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        request.headers["Authorization"] = f"{self._scheme} {self._key.get_secret_value()}"
        yield request
