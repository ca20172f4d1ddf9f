"""Makes the engine's rooms of tasks and properties what the project says they are."""

import logging

from .engine import EngineRefused
from .models import SubjectRoom
from .subjects import users_by_id

logger = logging.getLogger("aristay_chat")


def push(engine, kind, obj):
    """Gives the room of `obj` its title and participants. Its people must have been told before.

    Who is in the room without belonging into it is removed, unless they may view the object: those opened
    the room from its page. Users of the engine whom Django doesn't know, such as guests, stay.
    Returns how many were removed.
    """
    users = kind.participants(obj)
    known = SubjectRoom.objects.filter(kind=kind.name, object_id=obj.pk).first()
    if known is None and not kind.has_room(obj):
        return 0
    try:
        room = engine.put_room(kind, obj.pk, kind.title(obj), [user.pk for user in users])
    except EngineRefused as refused:
        if refused.status != 409:
            raise
        # Nobody can be added to an archived room; its admins closed it.
        logger.info("the room of %s %s is archived", kind.name, obj.pk)
        return 0
    SubjectRoom.objects.update_or_create(
        kind=kind.name, object_id=obj.pk, defaults={"room_id": room["id"]},
    )
    removed = strangers(kind, obj, users, room)
    _remove(engine, users, room, removed)
    return len(removed)


def strangers(kind, obj, users, room):
    """Returns the participants of `room` who may not be in it."""
    belonging = {user.pk for user in users}
    others = {
        participant["user"]["id"]: participant
        for participant in room["participants"]
        if participant["user"]["id"] not in belonging
    }
    known = users_by_id(others)
    # Who is deactivated can do nothing, and keeps the place for the day that this is undone.
    return [
        others[pk] for pk, user in known.items() if user.is_active and not kind.may_view(user, obj)
    ]


def _remove(engine, users, room, removed):
    """Takes participants out of a room. The engine keeps the only admin of a room while others are in it."""
    out = {participant["id"] for participant in removed}
    staying = [participant for participant in room["participants"] if participant["id"] not in out]
    if removed and staying and not any(participant["is_admin"] for participant in staying):
        belonging = {user.pk for user in users}
        # Rather someone who belongs into the room than a visitor.
        heir = next((one for one in staying if one["user"]["id"] in belonging), staying[0])
        engine.make_admin(heir["id"])
    for participant in sorted(removed, key=lambda one: one["is_admin"]):
        engine.remove_participant(participant["id"])


def close(engine, kind_name, object_id):
    """Archives the room of an object that was deleted."""
    room = SubjectRoom.objects.filter(kind=kind_name, object_id=object_id).first()
    if room is None:
        return
    try:
        engine.archive_room(room.room_id)
    except EngineRefused as refused:
        if refused.status != 409:
            raise
    room.delete()
