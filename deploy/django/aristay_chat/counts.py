"""How many messages a user hasn't read, for all buttons of a page in one call to the engine.

A page must not wait for an engine that is away: a call ends after a second, and after one that failed no
other is made for a while.
"""

import logging
import time

from .engine import Engine, EngineError
from .models import SubjectRoom
from .tokens import user_token

logger = logging.getLogger("aristay_chat")

#: Seconds to connect, and to wait for the answer.
TIMEOUT = (0.5, 1)
#: Seconds without calls after one that failed.
PAUSE_SECONDS = 15
#: Lifetime of the token, which makes one call.
TOKEN_SECONDS = 30
#: Rooms that are looked up in one query.
CHUNK = 500

_ATTRIBUTE = "_aristay_chat_unread"
_paused_until = 0.0


def unread(request):
    """Returns the counts of the user of `request`, by ("task", id) and ("property", id); none are zero."""
    if not hasattr(request, _ATTRIBUTE):
        setattr(request, _ATTRIBUTE, _fetch(request))
    return getattr(request, _ATTRIBUTE)


def _fetch(request):
    global _paused_until
    user = getattr(request, "user", None)
    if user is None or not user.is_authenticated or time.monotonic() < _paused_until:
        return {}
    try:
        with Engine(TIMEOUT) as engine:
            rooms = engine.call("GET", "unread/", token=user_token(user, seconds=TOKEN_SECONDS))["rooms"]
    except EngineError as error:
        _paused_until = time.monotonic() + PAUSE_SECONDS
        logger.warning("unread messages can't be counted now: %s", error)
        return {}
    counts = {room: count for room, count in rooms.items() if count}
    found = {}
    ids = list(counts)
    for at in range(0, len(ids), CHUNK):
        for room in SubjectRoom.objects.filter(room_id__in=ids[at : at + CHUNK]):
            found[room.kind, room.object_id] = counts[str(room.room_id)]
    return found
