"""Webhooks are verified, and each event is handed over once."""

import base64
import json
import logging
import uuid
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone

from django.test import TestCase
from standardwebhooks.webhooks import Webhook

from aristay_chat import signals, webhooks
from aristay_chat.models import ReceivedEvent, SubjectRoom
from tasks.models import Task

from .support import chat

SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
OTHER = "whsec_" + base64.b64encode(bytes(range(1, 33))).decode()
ROOM = str(uuid.uuid4())
POSTED = {
    "type": "chat_message", "room_id": ROOM, "seq": 7, "timestamp": "2026-01-02T03:04:05Z",
    "data": {"type": "chat_message", "room_id": ROOM, "seq": 7, "message": {"content": "Hello"}},
}


@contextmanager
def heard(signal):
    events = []

    def receiver(event, **_):
        events.append(event)

    signal.connect(receiver)
    try:
        yield events
    finally:
        signal.disconnect(receiver)


class Webhooks(TestCase):
    def setUp(self):
        logging.disable(logging.CRITICAL)
        self.addCleanup(logging.disable, logging.NOTSET)
        self.enterContext(chat(WEBHOOK_SECRET=SECRET))

    def sends(self, told=POSTED, webhook_id="msg_1", secret=SECRET, at=None, **changed):
        """Sends an event, signed by the standard's own library."""
        body = told if isinstance(told, str) else json.dumps(told)
        at = at or datetime.now(timezone.utc)
        headers = {
            "webhook-id": webhook_id,
            "webhook-timestamp": str(int(at.timestamp())),
            "webhook-signature": Webhook(secret).sign(webhook_id, at, body),
            **changed,
        }
        sent = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in headers.items() if value is not None}
        return self.client.post("/chat-webhook/", body, content_type="application/json", **sent)

    def test_an_event_comes_once_with_the_task_that_it_is_about(self):
        SubjectRoom.objects.create(kind="task", object_id=42, room_id=ROOM)
        with heard(signals.message_posted) as posted, heard(signals.event_received) as received:
            for _ in range(3):
                self.assertEqual(self.sends().status_code, 204)
            self.assertEqual(self.sends({**POSTED, "type": "room_updated"}, "msg_2").status_code, 204)
        self.assertEqual([event.webhook_id for event in received], ["msg_1", "msg_2"])
        (event,) = posted
        self.assertEqual((event.subject, event.seq, event.room_id), (("task", 42), 7, ROOM))
        self.assertEqual(event.data["message"]["content"], "Hello")

    def test_what_fails_is_undone_and_comes_again(self):
        fails = [True]

        def receiver(event, **_):
            Task.objects.create(title=event.data["message"]["content"])
            if fails.pop():
                raise RuntimeError("a mistake of the project")

        signals.message_posted.connect(receiver)
        try:
            self.client.raise_request_exception = False
            self.assertEqual(self.sends().status_code, 500)
            self.assertEqual((Task.objects.count(), ReceivedEvent.objects.count()), (0, 0))
            fails.append(False)
            self.assertEqual(self.sends().status_code, 204)
            self.assertEqual(self.sends().status_code, 204)
        finally:
            signals.message_posted.disconnect(receiver)
        self.assertEqual(Task.objects.count(), 1)

    def test_nothing_else_is_taken(self):
        now = datetime.now(timezone.utc)
        with heard(signals.event_received) as received:
            for refused in (
                {"secret": OTHER},
                {"at": now - timedelta(minutes=6)},
                {"at": now + timedelta(minutes=6)},
                {"webhook-signature": None},
                {"webhook-signature": "v1,"},
                {"webhook-signature": "v1a,é"},
                {"webhook-id": "msg_2"},
                {"webhook-id": None},
                {"webhook-timestamp": "now"},
                {"webhook-timestamp": "9" * 40},
                {"told": "["},
                {"told": "[" * 100_000},
                {"told": "null"},
                {"told": {**POSTED, "data": []}},
                {"told": {**POSTED, "room_id": "lobby"}},
                {"told": {"type": "chat_message"}},
            ):
                with self.subTest(refused):
                    self.assertEqual(self.sends(**refused).status_code, 400)
        self.assertEqual((received, ReceivedEvent.objects.count()), ([], 0))
        self.assertEqual(self.client.get("/chat-webhook/").status_code, 405)
        with chat(WEBHOOK_SECRET=None):
            self.assertEqual(self.sends().status_code, 404)

    def test_a_secret_can_be_replaced(self):
        with chat(WEBHOOK_SECRET=[OTHER, SECRET]):
            self.assertEqual(self.sends().status_code, 204)
            self.assertEqual(self.sends(secret=OTHER, webhook_id="msg_2").status_code, 204)
        now = datetime.now(timezone.utc)
        both = f"v1,{'A' * 43}= {Webhook(SECRET).sign('msg_3', now, json.dumps(POSTED))}"
        self.assertEqual(self.sends(webhook_id="msg_3", at=now, **{"webhook-signature": both}).status_code, 204)

    def test_old_ids_are_forgotten(self):
        self.sends()
        self.sends(webhook_id="msg_2")
        old = datetime.now(timezone.utc) - timedelta(days=webhooks.KEPT_DAYS + 1)
        ReceivedEvent.objects.filter(pk="msg_1").update(received_at=old)
        webhooks._clean()
        self.assertEqual([event.pk for event in ReceivedEvent.objects.all()], ["msg_2"])
