"""Receives the engine's webhooks: verifies them as Standard Webhooks 1.0 says, and hands each over once."""

import base64
import hashlib
import hmac
import json
import random
import time
import uuid
from dataclasses import dataclass
from datetime import timedelta

from django.db import IntegrityError, transaction
from django.utils import timezone

from .models import ReceivedEvent, SubjectRoom
from .signals import BY_TYPE, event_received

#: How far the time of a request may be from now, in seconds. Older ones may be replayed by someone who saw them.
TOLERANCE_SECONDS = 300
SECRET_PREFIX = "whsec_"
#: Bytes of a secret that the engine takes.
SECRET_BYTES = (16, 64)
ID_CHARS_MAX = 255
#: Signatures of one request that are compared; two are usual while a secret is being replaced.
SIGNATURES_MAX = 10
#: How long ids are kept to recognise repeats: longer than any sender tries.
KEPT_DAYS = 30
#: Of so many events one deletes old ids, and how many.
CLEANING_ODDS, CLEANED = 100, 1_000


class Rejected(Exception):
    """The request isn't a webhook of the engine. The text says why, without secrets."""


@dataclass(frozen=True)
class Event:
    """An event of a room."""

    #: The same in each attempt to deliver it.
    webhook_id: str
    type: str
    room_id: str
    seq: object
    timestamp: object
    #: The event's frame, as docs/PROTOCOL.md of the engine shows it.
    data: dict
    #: "task" or "property" and the id of the object that the room is about; None for other rooms.
    subject: object


def key_of(secret):
    """Returns the key of a secret: Base64, with `whsec_` before it or without.

    Raises ValueError, with a sentence.
    """
    if not isinstance(secret, str):
        raise ValueError("must be a text")
    try:
        key = base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except ValueError:
        raise ValueError(f"must be Base64, with {SECRET_PREFIX} before it or without") from None
    if not SECRET_BYTES[0] <= len(key) <= SECRET_BYTES[1]:
        raise ValueError(f"must hold {SECRET_BYTES[0]} to {SECRET_BYTES[1]} bytes")
    return key


def verify(headers, body, secrets):
    """Checks that one of `secrets` signed `body`, and returns the id.

    Raises Rejected.
    """
    webhook_id, sent_at = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    signatures = headers.get("webhook-signature", "").split(" ")[:SIGNATURES_MAX]
    if not webhook_id or len(webhook_id) > ID_CHARS_MAX:
        raise Rejected("webhook-id is missing")
    if not (sent_at.isascii() and sent_at.isdigit() and len(sent_at) < 16):
        raise Rejected("webhook-timestamp is not a number of seconds")
    if abs(time.time() - int(sent_at)) > TOLERANCE_SECONDS:
        raise Rejected("webhook-timestamp is too far from now")
    signed = f"{webhook_id}.{sent_at}.".encode() + body
    for secret in secrets:
        digest = hmac.new(key_of(secret), signed, hashlib.sha256).digest()
        expected = b"v1," + base64.b64encode(digest)
        if any(hmac.compare_digest(expected, one.encode()) for one in signatures):
            return webhook_id
    raise Rejected("webhook-signature is not of this secret")


def parse(webhook_id, body):
    """Returns the event in `body`.

    Raises Rejected.
    """
    try:
        told = json.loads(body)
        kind, room_id = told["type"], told["room_id"]
    except (ValueError, TypeError, KeyError, RecursionError):
        raise Rejected("the body is not an event") from None
    data = told.get("data")
    if not (isinstance(kind, str) and isinstance(room_id, str) and isinstance(data, dict)):
        raise Rejected("the body is not an event")
    return Event(webhook_id, kind, room_id, told.get("seq"), told.get("timestamp"), data, _subject_of(room_id))


def hand_over(event):
    """Sends the signals of an event, unless that was done before. Returns whether it is new."""
    with transaction.atomic():
        try:
            # A repeat that comes at the same moment waits here until this transaction has ended.
            with transaction.atomic():
                ReceivedEvent.objects.create(webhook_id=event.webhook_id)
        except IntegrityError:
            return False
        for signal in filter(None, [event_received, BY_TYPE.get(event.type)]):
            signal.send(sender=Event, event=event)
    if random.randrange(CLEANING_ODDS) == 0:
        _clean()
    return True


def _subject_of(room_id):
    try:
        room = SubjectRoom.objects.filter(room_id=uuid.UUID(room_id)).first()
    except ValueError:
        raise Rejected("room_id is not a UUID") from None
    return room and (room.kind, room.object_id)


def _clean():
    old = ReceivedEvent.objects.filter(received_at__lt=timezone.now() - timedelta(days=KEPT_DAYS))
    ReceivedEvent.objects.filter(pk__in=list(old.values_list("pk", flat=True)[:CLEANED])).delete()
