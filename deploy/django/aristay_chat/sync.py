"""Compares everything with the engine: all users, and the titles and participants of all rooms.

It makes up for what no signal told: QuerySet.update, bulk_create, SQL, and the time before the package.
"""

import time
from dataclasses import dataclass, field

from . import rooms
from .models import OutboxEntry, SubjectRoom
from .outbox import Lease
from .sender import PASSING, LeaseLost, tell
from .subjects import kinds
from .users import all_users, describe

#: Objects that are read and told at once.
CHUNK = 1_000
#: Seconds to wait for the process that sends the outbox.
LEASE_WAIT_SECONDS = 90


class Busy(LeaseLost):
    """Another process keeps sending."""


@dataclass
class Report:
    """What a run has done."""

    users: int = 0
    #: Tasks and properties, those without a room too.
    subjects: int = 0
    removed: int = 0
    closed: int = 0
    #: Sentences about what the engine refused.
    refused: list = field(default_factory=list)


def synchronize(engine):
    """Tells the engine of everything, and returns a report. Run twice it changes nothing."""
    lease = Lease()
    _wait_for(lease)
    report = Report()
    try:
        for users in _chunks(all_users()):
            refused = tell(engine, users, lambda: _renew(lease))
            report.refused += [f"user {pk}: {error}" for pk, error in refused.items()]
            report.users += len(users)
            _settle(OutboxEntry.USER, [user for user in users if user.pk not in refused])
        for kind in kinds():
            for objects in _chunks(kind.objects()):
                for obj in objects:
                    _renew(lease)
                    removed = _attempt(
                        report, f"{kind.name} {obj.pk}", lambda kind=kind, obj=obj: rooms.push(engine, kind, obj),
                    )
                    if removed is not None:
                        report.subjects += 1
                        report.removed += removed
                        _settle(kind.name, [obj])
            for object_id in _orphans(kind):
                _renew(lease)
                _attempt(
                    report,
                    f"{kind.name} {object_id}",
                    lambda kind=kind, object_id=object_id: rooms.close(engine, kind.name, object_id),
                )
                report.closed += 1
    finally:
        lease.release()
    return report


def drift(engine):
    """Yields a sentence for each thing that the engine has in another way than Django. Changes nothing."""
    yield from _drift_of_users(engine)
    for kind in kinds():
        for objects in _chunks(kind.objects()):
            pks = [obj.pk for obj in objects]
            known = dict(
                SubjectRoom.objects.filter(kind=kind.name, object_id__in=pks).values_list("object_id", "room_id"),
            )
            for obj in objects:
                yield from _drift_of_room(engine, kind, obj, known.get(obj.pk))
        for object_id in _orphans(kind):
            yield f"{kind.name} {object_id}: deleted, and its room isn't archived"
    for entry in OutboxEntry.objects.exclude(refused_at=None).order_by("pk")[:CHUNK]:
        yield f"{entry}: {entry.error}"


def _drift_of_users(engine):
    listed = {user["id"]: user for user in engine.directory()}
    for users in _chunks(all_users()):
        for user in users:
            told = describe(user)
            if user.pk not in listed:
                if told["is_active"]:
                    yield f"user {user.pk}: unknown or inactive at the engine"
                continue
            # Of those who are known, a call without fields changes nothing and shows all of them.
            there = engine.put_user(user.pk, {})
            told["full_name"] = told["full_name"] or told["username"]
            different = [name for name in told if not _same(told[name], there[name])]
            if different:
                yield f"user {user.pk}: another {', '.join(different)} at the engine"


def _drift_of_room(engine, kind, obj, room_id):
    what = f"{kind.name} {obj.pk}"
    if room_id is None:
        if kind.has_room(obj):
            yield f"{what}: no room"
        return
    room = engine.room(room_id)
    if room is None:
        yield f"{what}: its room is gone"
        return
    if not room["is_active"]:
        return
    title = kind.title(obj)
    # A room with a name of its own doesn't show the title.
    if title and not room["name"] and not room["display_name"].endswith(f": {title}"):
        yield f"{what}: another title at the engine, {room['display_name']!r}"
    users = kind.participants(obj)
    inside = {participant["user"]["id"] for participant in room["participants"]}
    missing = [str(user.pk) for user in users if user.pk not in inside]
    if missing:
        yield f"{what}: not in its room: {', '.join(missing)}"
    others = [str(participant["user"]["id"]) for participant in rooms.strangers(kind, obj, users, room)]
    if others:
        yield f"{what}: in its room without a right to be: {', '.join(others)}"


def _same(ours, theirs):
    # Times may be written in several ways of equal meaning.
    return ours == theirs or (ours and theirs and str(ours).rstrip("Z") == str(theirs).split("+")[0].rstrip("Z"))


def _orphans(kind):
    """Returns the ids of objects that have a room, and that Django has no more."""
    gone = []
    for known in _chunks(SubjectRoom.objects.filter(kind=kind.name)):
        pks = [room.object_id for room in known]
        there = set(kind.objects().filter(pk__in=pks).values_list("pk", flat=True))
        gone += [pk for pk in pks if pk not in there]
    return gone


def _attempt(report, what, call):
    try:
        return call()
    except PASSING:
        raise
    except Exception as error:
        report.refused.append(f"{what}: {error}")
        return None


def _settle(kind_name, objects):
    """Forgets what was refused before of objects that have been told of now."""
    pks = [obj.pk for obj in objects]
    OutboxEntry.objects.filter(kind=kind_name, object_id__in=pks).exclude(refused_at=None).delete()


def _wait_for(lease):
    until = time.monotonic() + LEASE_WAIT_SECONDS
    while not lease.acquire():
        if time.monotonic() > until:
            raise Busy("another process is sending the outbox")
        time.sleep(1)


def _renew(lease):
    if not lease.acquire():
        raise Busy("another process has begun to send the outbox")


def _chunks(query):
    """Yields the rows of `query` in lists, by their keys; no cursor is open meanwhile."""
    last = None
    while chunk := list((query if last is None else query.filter(pk__gt=last)).order_by("pk")[:CHUNK]):
        yield chunk
        last = chunk[-1].pk
