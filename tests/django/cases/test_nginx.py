"""nginx in front: one name for Django and the engine (nginx-one-host.conf); preflights and cookies (nginx.conf)."""

import base64
import json
import os
import re
import socket
import subprocess
import tempfile
from pathlib import Path

from django.test import LiveServerTestCase

from .support import ROOT, RealEngine, chat, ends_with_parent, fetch, free_port, user, wait_until


class BehindNginx(LiveServerTestCase):
    """A test with nginx in front of Django and of an engine."""

    host = "127.0.0.1"
    #: Files of deploy/, and texts of theirs in place of others.
    files = ()
    changes = ()
    settings = {}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.engine = RealEngine(**cls.settings).start()
        cls.addClassCleanup(cls.engine.stop)
        folder = cls.enterClassContext(tempfile.TemporaryDirectory(prefix="chat-nginx-"))
        # The workers run as another user.
        os.chmod(folder, 0o755)
        cls.port = free_port()
        cls.url = f"http://127.0.0.1:{cls.port}"
        conf = "\n".join((ROOT / "deploy" / name).read_text() for name in cls.files)
        django = cls.live_server_url.removeprefix("http://")
        for ours, theirs in (
            ("listen 80;", f"listen 127.0.0.1:{cls.port};"),
            ("127.0.0.1:8001", f"127.0.0.1:{cls.engine.port}"),
            ("127.0.0.1:8080", django),
            ("/var/log/nginx/chat.log", f"{folder}/chat.log"),
            *cls.changes,
        ):
            assert ours in conf, ours
            conf = conf.replace(ours, theirs)
        kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        temporary = "".join(f"{kind}_temp_path {folder}/{kind};\n" for kind in kinds)
        Path(f"{folder}/nginx.conf").write_text(
            f"daemon off; pid {folder}/pid; error_log {folder}/error.log; worker_processes 1;\n"
            f"events {{ worker_connections 256; }}\nhttp {{\n{temporary}{conf}\n}}\n",
        )
        command = ["/usr/sbin/nginx", "-e", f"{folder}/error.log", "-c", f"{folder}/nginx.conf"]
        checked = subprocess.run([*command, "-q", "-t"], capture_output=True, text=True, timeout=30)
        assert checked.returncode == 0, checked.stderr
        cls.log = Path(f"{folder}/chat.log")
        nginx = subprocess.Popen(command, stdin=subprocess.DEVNULL, preexec_fn=ends_with_parent)

        def stop():
            nginx.terminate()
            nginx.wait(30)

        cls.addClassCleanup(stop)
        wait_until(lambda: fetch(f"{cls.url}/api/chat/")[0] == 200, "the start of nginx")

    def get(self, path, **headers):
        return fetch(self.url + path, headers={name.replace("_", "-"): value for name, value in headers.items()})


class OneHost(BehindNginx):
    files = ("nginx-one-host.conf",)

    def setUp(self):
        # Where both share a name, that name is the engine's address too.
        self.enterContext(chat(URL=self.url, INTERNAL_URL=self.engine.url))
        self.ana = user("ana")
        self.client.force_login(self.ana)
        self.cookie = {"Cookie": f"sessionid={self.client.cookies['sessionid'].value}"}

    def test_the_old_page_and_all_that_is_not_the_chats_is_djangos(self):
        self.assertEqual(self.get("/api/chat/")[2], b"the old page")
        self.assertEqual(self.get("/tasks/")[0], 302)
        for path in ("/", "/admin/", "/api/tasks/", "/chats/", "/ws/alarms/", "/metrics", "/api/docs/", "/health/live"):
            status, _, body = self.get(path)
            self.assertEqual(status, 404, path)
            self.assertIn(b"<h1>Not Found</h1>", body, path)

    def test_the_page_and_the_tag_are_the_chats(self):
        for path in ("/chat/", "/chat-room.js", "/chat/rooms/1"):
            status, headers, _ = self.get(path)
            self.assertEqual((status, "ETag" in headers), (200, True), path)

    def test_a_token_of_djangos_sign_in_is_the_chats(self):
        body = json.dumps({"username": "ana", "password": "a password"}).encode()
        status, _, answer = fetch(f"{self.url}/api/token/", "POST", {"Content-Type": "application/json"}, body)
        self.assertEqual(status, 200, answer)
        token = json.loads(answer)["access"]
        status, _, me = self.get("/api/chat/users/me/", Authorization=f"Bearer {token}")
        self.assertEqual((status, json.loads(me)["id"]), (200, self.ana.pk))
        self.assertEqual(self.opens(f"/ws/chat/?token={token}", {})["user_id"], self.ana.pk)
        self.assertNotIn(token, self.log.read_text())

    def test_the_session_is_enough_for_pages_of_the_same_site(self):
        status, _, me = self.get("/api/chat/users/me/", **self.cookie)
        self.assertEqual((status, json.loads(me)["username"]), (200, "ana"))
        self.assertEqual(self.opens("/ws/chat/", self.cookie)["user_id"], self.ana.pk)
        self.assertEqual(self.get("/api/chat/rooms/")[0], 401)
        self.assertEqual(self.get("/api/chat/rooms/", Cookie="sessionid=another")[0], 401)
        self.assertEqual(self.get("/api/chat/rooms/", Sec_Fetch_Site="cross-site", **self.cookie)[0], 403)
        self.assertIsNone(self.opens("/ws/chat/", {}))
        self.assertIsNone(self.opens("/ws/chat/", {**self.cookie, "Origin": "https://evil.example"}))
        # The token is for nginx alone: the path where it asks leads to the chat's page from outside.
        self.assertNotIn("X-Chat-Token", self.get("/chat/token/", **self.cookie)[1])

    def test_a_write_and_links_name_the_shared_host(self):
        body = json.dumps({"room_type": "group", "name": "Keys"}).encode()
        headers = {"Content-Type": "application/json", **self.cookie}
        for _ in range(2):
            self.assertEqual(fetch(f"{self.url}/api/chat/rooms/", "POST", headers, body)[0], 201)
        listed = json.loads(self.get("/api/chat/rooms/?page_size=1", **self.cookie)[2])
        self.assertTrue(listed["next"].startswith(f"{self.url}/api/chat/rooms/"), listed["next"])

    def opens(self, path, headers):
        """Opens a socket, and returns its first frame; None if it was refused."""
        key = base64.b64encode(os.urandom(16)).decode()
        lines = {
            "Host": f"127.0.0.1:{self.port}", "Upgrade": "websocket", "Connection": "Upgrade",
            "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": key, **headers,
        }
        head = f"GET {path} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in lines.items()) + "\r\n"
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as stream:
            stream.sendall(head.encode())
            file = stream.makefile("rb")
            status = file.readline()
            if not re.match(rb"HTTP/1.1 101 ", status):
                return None
            while file.readline() not in (b"\r\n", b""):
                pass
            length = file.read(2)[1]
            length = int.from_bytes(file.read(2), "big") if length == 126 else length
            return json.loads(file.read(length))


class OwnName(BehindNginx):
    files = ("nginx.conf", "nginx-upstreams.conf")
    changes = (("# https://app.example  $http_origin;", "https://app.example  $http_origin;"),)
    settings = {"ALLOWED_ORIGINS": "https://app.example,https://other.example"}

    def asks(self, origin):
        """Makes a browser's preflight."""
        asked = {
            "Origin": origin, "Sec-Fetch-Site": "cross-site", "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization,content-type",
        }
        status, headers, _ = fetch(f"{self.url}/api/chat/messages/", "OPTIONS", asked)
        return status, {name.lower(): value for name, value in headers.items()}

    def test_preflights_of_named_origins_need_no_node(self):
        def named():
            status, headers = self.asks("https://app.example")
            self.assertEqual((status, headers["access-control-allow-origin"]), (204, "https://app.example"))
            self.assertEqual(headers["access-control-allow-methods"], "POST")
            self.assertEqual(headers["access-control-allow-headers"], "authorization,content-type")
            self.assertIn("Origin", headers["vary"])
            self.assertNotIn("access-control-allow-credentials", headers)

        named()
        # The node answers for all others.
        status, headers = self.asks("https://other.example")
        self.assertEqual((status, headers["access-control-allow-origin"]), (204, "https://other.example"))
        status, headers = self.asks("https://evil.example")
        self.assertNotIn("access-control-allow-origin", headers)
        self.assertNotIn(status, (401, 500))
        self.engine.kill()
        try:
            named()
        finally:
            self.engine.start()

    def test_the_session_is_enough(self):
        self.client.force_login(user("ana"))
        cookie = f"sessionid={self.client.cookies['sessionid'].value}"
        self.assertEqual(json.loads(self.get("/api/chat/users/me/", Cookie=cookie)[2])["username"], "ana")
        self.assertEqual(self.get("/api/chat/users/me/")[0], 401)
