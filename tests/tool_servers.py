"""Servers that answer as Klaviyo's and Braze's documentation says, on a real socket, with the faults a test asks for.

What kind of record something is, its identifier says: `ok…` is taken; `late…` is taken into the request but not as a
record; `named…` makes the whole request refused with its position; `fatal…` makes it refused without one; `unlisted…`
is taken, but its job does not list it.
"""

import json
import re
import socket
import struct
import threading
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

KEY = "pk_secret_0123456789abcdef"
JOBS = "/api/profile-bulk-import-jobs"
REFUSING = re.compile(r"^\+?(named|fatal)")
CONSENT = {"subscriptions", "$consent", "email_subscribe", "push_subscribe", "subscription_groups", "consented_at"}

FAULTS = ("429", "429_wait", "429_moment", "500_before", "500_after", "silence_before", "silence_after")
FAULTS += ("reset_before", "reset_after", "malformed")


class Server(ThreadingHTTPServer):
    """One tool. `faults` are used up by POSTs, one each; without any left everything goes well."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.faults: deque[str] = deque()
        self.looking_faults: deque[str] = deque()
        """Used up by GETs."""
        self.received: Counter[str] = Counter()
        """How often each identifier was taken."""
        self.requests: list[tuple[str, str]] = []
        self.bodies: list[dict[str, Any]] = []
        self.wrong: list[str] = []
        """What no request of ours may be."""
        self.closing = threading.Event()
        self.mutex = threading.Lock()

    @property
    def host(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that went away are part of the tests."""

    def check(self, handler: "Handler") -> tuple[int, dict[str, Any]] | None:
        raise NotImplementedError

    def judge(self, body: dict[str, Any]) -> tuple[int, dict[str, Any]] | None:
        """Why a whole request is refused; None when it is not."""
        raise NotImplementedError

    def take(self, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        raise NotImplementedError

    def look(self, path: str, query: dict[str, str]) -> tuple[int, dict[str, Any]]:
        raise NotImplementedError


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        pass

    def do_GET(self) -> None:
        self.server.requests.append(("GET", self.path))
        refused = self.server.check(self)
        url = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        fault = self.server.looking_faults.popleft() if self.server.looking_faults else "ok"
        if fault == "500":
            self.answer(500, {})
        elif fault == "429":
            self.answer(429, {}, {"Retry-After": "3"})
        else:
            with self.server.mutex:
                status, content = refused or self.server.look(url.path, query)
            self.answer(status, content)

    def do_POST(self) -> None:
        server = self.server
        server.requests.append(("POST", self.path))
        length = int(self.headers["Content-Length"])
        content = self.rfile.read(length)
        if len(content) < length:
            return
        body = json.loads(content)
        server.bodies.append(body)
        server.wrong += [f"consent: {name}" for name in CONSENT & set(_keys(body))]
        fault = server.faults.popleft() if server.faults else "ok"
        if fault == "429":
            self.answer(429, {})
        elif fault == "429_wait":
            self.answer(429, {}, {"Retry-After": "7"})
        elif fault == "429_moment":
            self.answer(429, {}, {"X-RateLimit-Reset": "1000000030", "Date": "Sun, 09 Sep 2001 01:46:40 GMT"})
        elif fault == "500_before":
            self.answer(500, {"message": "down"})
        elif fault == "silence_before":
            server.closing.wait(5)
        elif fault == "reset_before":
            self.reset()
        else:
            self.judged(body, fault)

    def judged(self, body: dict[str, Any], fault: str) -> None:
        server = self.server
        refused = server.check(self) or server.judge(body)
        with server.mutex:
            status, content = refused or server.take(body)
        if fault == "500_after":
            self.answer(500, {})
        elif fault == "silence_after":
            server.closing.wait(5)
        elif fault == "reset_after":
            self.reset()
        elif fault == "malformed" and not refused:
            self.answer(status, b'{"data": ')
        else:
            self.answer(status, content)

    def answer(self, status: int, content: dict[str, Any] | bytes, headers: dict[str, str] | None = None) -> None:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response_only(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def reset(self) -> None:
        """Hang up in the middle, so that the other side sees its connection broken."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.rfile.close()
        self.wfile.close()
        self.connection.close()
        self.close_connection = True


class Klaviyo(Server):
    """`polls` is how often a job has to be asked for before it is complete; `ends` how jobs end."""

    def __init__(self, polls: int = 1, ends: str = "complete") -> None:
        super().__init__()
        self.polls, self.ends = polls, ends
        self.jobs: list[dict[str, Any]] = []
        self.lists: set[str] = {"LIST1"}

    def check(self, handler: Handler) -> tuple[int, dict[str, Any]] | None:
        if handler.headers["Authorization"] != f"Klaviyo-API-Key {KEY}":
            return 401, _klaviyo_errors(("not_authenticated", "/data"))
        if not re.fullmatch(r"20\d\d-\d\d-\d\d", handler.headers["revision"] or ""):
            return 400, _klaviyo_errors(("invalid", "/data"))
        if handler.command == "POST" and urlsplit(handler.path).path != JOBS:
            self.wrong.append(f"POST {handler.path}")
            return 404, {}
        if handler.command == "POST" and handler.headers["Content-Type"] != "application/vnd.api+json":
            return 415, {}
        return None

    def judge(self, body: dict[str, Any]) -> tuple[int, dict[str, Any]] | None:
        assert body["data"]["type"] == "profile-bulk-import-job"
        profiles = body["data"]["attributes"]["profiles"]["data"]
        if len(profiles) > 10_000 or len(json.dumps(body)) > 5_000_000 * 1.2:
            return 413, {}
        lists = body["data"].get("relationships", {}).get("lists", {}).get("data", [])
        if {each["id"] for each in lists} - self.lists:
            return 400, _klaviyo_errors(("invalid", "/data"))
        kinds = [REFUSING.match(_known_by(profile["attributes"])) for profile in profiles]
        if any(kind and kind.group(1) == "fatal" for kind in kinds):
            return 400, {}
        named = [row for row, kind in enumerate(kinds) if kind]
        if named:
            return 400, _klaviyo_errors(
                *(("invalid", f"/data/attributes/profiles/data/{row}/attributes/email") for row in named)
            )
        return None

    def take(self, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        profiles = [profile["attributes"] for profile in body["data"]["attributes"]["profiles"]["data"]]
        job = {"id": f"job-{len(self.jobs) + 1}", "profiles": profiles, "asked": 0}
        self.jobs.append(job)
        self.received.update(map(_known_by, profiles))
        return 202, {"data": self._described(job)}

    def look(self, path: str, query: dict[str, str]) -> tuple[int, dict[str, Any]]:
        _, _, rest = path.partition(JOBS)
        if not rest:
            assert query["sort"] == "-created_at"
            return 200, self._page([self._described(job) for job in reversed(self.jobs)], query, path)
        _, job_id, *what = rest.split("/")
        job = next((job for job in self.jobs if job["id"] == job_id), None)
        if job is None:
            return 404, {}
        late = [(row, each) for row, each in enumerate(job["profiles"]) if _known_by(each).startswith("late")]
        if not what:
            job["asked"] += 1
            return 200, {"data": self._described(job)}
        if what == ["import-errors"]:
            return 200, self._page([_import_error(row, each) for row, each in late], query, path)
        taken = [each for each in job["profiles"] if not _known_by(each).startswith(("late", "unlisted"))]
        return 200, self._page([{"type": "profile", "id": "p", "attributes": each} for each in taken], query, path)

    def _described(self, job: dict[str, Any]) -> dict[str, Any]:
        status = self.ends if job["asked"] >= self.polls else "processing"
        total = len(job["profiles"])
        failed = sum(_known_by(each).startswith("late") for each in job["profiles"])
        counts = {"total_count": total, "completed_count": total - failed, "failed_count": failed}
        attributes = {"status": status, "created_at": "2026-03-31T00:00:00+00:00", **counts}
        return {"type": "profile-bulk-import-job", "id": job["id"], "attributes": attributes, "links": {"self": "x"}}

    def _page(self, entries: list[dict[str, Any]], query: dict[str, str], path: str) -> dict[str, Any]:
        size, start = int(query.get("page[size]", 20)), int(query.get("page[cursor]", 0))
        assert 1 <= size <= 100
        following = f"{self.host}{path}?page%5Bcursor%5D={start + size}" if start + size < len(entries) else None
        return {"data": entries[start : start + size], "links": {"self": "x", "next": following}}


class Braze(Server):
    """`most` is how many updates a request may have."""

    def __init__(self, most: int = 50) -> None:
        super().__init__()
        self.most = most

    def check(self, handler: Handler) -> tuple[int, dict[str, Any]] | None:
        if handler.headers["Authorization"] != f"Bearer {KEY}":
            return 401, {"message": "Invalid API key"}
        if handler.command != "POST" or handler.path != "/users/track":
            self.wrong.append(f"{handler.command} {handler.path}")
            return 404, {}
        return None if handler.headers["Content-Type"] == "application/json" else (400, {"message": "Bad Request"})

    def judge(self, body: dict[str, Any]) -> tuple[int, dict[str, Any]] | None:
        records = body["attributes"]
        if set(body) != {"attributes"}:
            self.wrong.append(f"keys {sorted(body)}")
        if len(records) > self.most:
            return 400, {"message": "Max Input Length Exceeded"}
        for record in records:
            if (
                len({"external_id", "braze_id", "user_alias"} & set(record)) > 1
                or "_update_existing_only" not in record
            ):
                self.wrong.append("identifiers")
        kinds = [REFUSING.match(_known_by(record)) for record in records]
        if any(kind and kind.group(1) == "fatal" for kind in kinds):
            return 400, {"message": "Bad Request"}
        named = [_braze_error(row, records[row]) for row, kind in enumerate(kinds) if kind]
        return (400, {"message": "Valid data must be provided", "errors": named}) if named else None

    def take(self, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        records = body["attributes"]
        late = [row for row, record in enumerate(records) if _known_by(record).startswith("late")]
        self.received.update(map(_known_by, records))
        errors = {"errors": [_braze_error(row, records[row]) for row in late]} if late else {}
        return 201, {"message": "success", "attributes_processed": len(records) - len(late), **errors}


@contextmanager
def running(server: Server) -> Iterator[Server]:
    """The server at work in a thread of its own."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.closing.set()
        server.shutdown()
        server.server_close()
        thread.join()


def _keys(value: Any) -> Iterable[str]:
    if isinstance(value, dict):
        yield from value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _keys(inner)


def _known_by(attributes: dict[str, Any]) -> str:
    names = ("external_id", "email", "phone_number", "phone")
    return next(str(attributes[name]) for name in names if attributes.get(name))


def _klaviyo_errors(*found: tuple[str, str]) -> dict[str, Any]:
    return {
        "errors": [
            {
                "id": "1",
                "status": 400,
                "code": code,
                "title": "Invalid input.",
                "detail": "x",
                "source": {"pointer": at},
            }
            for code, at in found
        ]
    }


def _import_error(row: int, attributes: dict[str, Any]) -> dict[str, Any]:
    said = {"code": "invalid", "title": "Invalid input.", "detail": f"{_known_by(attributes)} is not a valid address."}
    source = {"pointer": f"/data/attributes/profiles/data/{row}/attributes/email"}
    payload = {"data": {"type": "profile", "attributes": attributes}} if row % 2 else None
    return {"type": "import-error", "id": "1", "attributes": {**said, "source": source, "original_payload": payload}}


def _braze_error(row: int, record: dict[str, Any]) -> dict[str, Any]:
    text = f"'rec_1_id' of {_known_by(record)} is {record.get('rec_1_id')}, which is not valid"
    return {"type": text, "input_array": "attributes", "index": row}
