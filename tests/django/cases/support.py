"""An engine that is played, a real one, and users of the project."""

import ctypes
import json
import os
import re
import signal
import socket
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.request
import uuid
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from django.conf import settings
from django.contrib.auth import get_user_model
from django.test import override_settings

#: Seconds that anything may take.
PATIENCE = 60
ROOT = Path(__file__).resolve().parents[3]


def chat(**changed):
    """Returns a context with other settings of ARISTAY_CHAT."""
    return override_settings(ARISTAY_CHAT={**settings.ARISTAY_CHAT, **changed})


def user(name, **fields):
    return get_user_model().objects.create_user(
        name, f"{name}@app.example", "a password", **{"first_name": name.title(), **fields},
    )


def free_port():
    """Finds a port below those that the system gives to clients."""
    start = os.getpid() * 7 % 4_000
    for n in range(10_000):
        port = 24_000 + (start + n) % 8_000
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    raise AssertionError("no port is free")


def wait_until(condition, what="it"):
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, f"{what} doesn't happen"
        time.sleep(0.02)


class PlayedEngine:
    """Answers as the engine does, as far as the package asks, and can be told to fail."""

    def __init__(self):
        self.calls = []
        self.people = {}
        self.rooms = {}
        #: The answer to a call whose "METHOD path" matches the pattern, in place of the right one.
        self.faults = []
        self.unread = {}
        self._server = None

    def __enter__(self):
        engine = self

        class Handler(BaseHTTPRequestHandler):
            def handle_any(self):
                size = int(self.headers.get("Content-Length") or 0)
                body = json.loads(self.rfile.read(size)) if size else None
                status, content = engine.answer(self.command, self.path.removeprefix("/api/chat/"), body)
                sent = content if isinstance(content, bytes) else json.dumps(content).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(sent)))
                self.end_headers()
                self.wfile.write(sent)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._settings = chat(URL=self.url, INTERNAL_URL=self.url)
        self._settings.enable()
        return self

    def __exit__(self, *_):
        self._settings.disable()
        self._server.shutdown()
        self._server.server_close()

    def made(self, method=""):
        """Returns the paths of the calls of a method."""
        return [path for way, path, _ in self.calls if way == method or not method]

    def answer(self, method, path, body):
        self.calls.append((method, path, body))
        for pattern, answer in self.faults:
            if re.fullmatch(pattern, f"{method} {path}"):
                return answer
        if path == "users/sync/":
            self.people.update({told["id"]: told for told in body})
            return 200, {"created": 0, "updated": len(body)}
        if found := re.fullmatch(r"(tasks|properties)/(\d+)/room/", path):
            unknown = [pk for pk in body["participant_ids"] if pk not in self.people]
            if unknown:
                return 400, {"participant_ids": [f"Unknown or inactive: {unknown}"]}
            room = self.rooms.setdefault(found.groups(), {"id": str(uuid.uuid4()), "people": {}, "title": ""})
            room["people"].update({pk: pk + 1_000 for pk in body["participant_ids"]})
            room["title"] = body.get("title", room["title"])
            return 200, self._shown(room)
        if found := re.fullmatch(r"DELETE participants/(\d+)/", f"{method} {path}"):
            for room in self.rooms.values():
                room["people"] = {pk: row for pk, row in room["people"].items() if row != int(found[1])}
            return 204, b""
        if path == "unread/":
            return 200, {"unread_count": sum(self.unread.values()), "rooms": self.unread}
        return (204, b"") if method == "DELETE" else (200, {})

    def people_of(self, collection, pk):
        return set(self.rooms[collection, str(pk)]["people"])

    def _shown(self, room):
        people = [{"id": row, "user": {"id": pk}, "is_admin": False} for pk, row in room["people"].items()]
        return {"id": room["id"], "participants": people}


class RealEngine:
    """A process of the engine that CHAT_BIN names, with its own database."""

    def __init__(self, **environment):
        self._folder = tempfile.TemporaryDirectory(prefix="chat-django-")
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._environment = environment
        self._process = None

    def start(self):
        environment = {
            **{name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "AMQP_URL")},
            "BIND": f"127.0.0.1:{self.port}",
            "DATA_DIR": self._folder.name,
            "JWT_SECRET": settings.SIMPLE_JWT["SIGNING_KEY"],
            "JWT_ISSUER": settings.SIMPLE_JWT["ISSUER"],
            "BUILTIN_ACCOUNTS": "off",
            "TRUSTED_PROXIES": "127.0.0.1",
            "LOG": "warn",
            **self._environment,
        }
        with open(f"{self._folder.name}/log", "ab") as log:
            self._process = subprocess.Popen(
                [os.environ["CHAT_BIN"], "serve"], env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                preexec_fn=ends_with_parent,
            )
        wait_until(self._is_ready, "the start of the engine")
        return self

    def _is_ready(self):
        assert self._process.poll() is None, Path(f"{self._folder.name}/log").read_text()
        return fetch(f"{self.url}/health/ready")[0] == 200

    def kill(self):
        self._process.kill()
        self._process.wait(PATIENCE)

    def stop(self):
        self._process.terminate()
        self._process.wait(PATIENCE)
        self._folder.cleanup()


def ends_with_parent():
    """Has a child process end when the tests do, however they end."""
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)


def fetch(url, method="GET", headers=None, body=None):
    """Makes a call, and returns its status, headers and body; status 0 if nobody answers."""
    request = urllib.request.Request(url, body, headers or {}, method=method)
    try:
        with urllib.request.build_opener(NoRedirect).open(request, timeout=10) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read()
    except OSError:
        return 0, {}, b""


class NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


@contextmanager
def signals_restored(*signals):
    """Takes back what was connected meanwhile."""
    before = [list(one.receivers) for one in signals]
    try:
        yield
    finally:
        for one, receivers in zip(signals, before):
            one.receivers = receivers
            one.sender_receivers_cache.clear()
