"""A thread that sends the outbox, for projects that run no send_chat_outbox (SENDER = "thread").

It starts with the first change, or the first request, of a process, and ends when there is nothing to do.
"""

import logging
import os
import threading
import time

from django.core.signals import request_started
from django.db import connections

from .sender import Sender

logger = logging.getLogger("aristay_chat")

FIRST_REQUEST = "aristay_chat first request"
#: Seconds without a change after which the thread ends.
IDLE_SECONDS = 30
#: Seconds to wait after an error that isn't the engine's, such as a database that is away.
ERROR_SECONDS = 10

_lock = threading.Lock()
_changed = threading.Event()
_thread = None
_process = None


def wake():
    """Has the thread look at the outbox; starts it if this process has none."""
    global _thread, _process
    with _lock:
        _changed.set()
        # A thread doesn't live on in a process that was forked.
        if _thread is None or not _thread.is_alive() or _process != os.getpid():
            _process = os.getpid()
            _thread = threading.Thread(target=_run, name="aristay-chat-outbox", daemon=True)
            _thread.start()


def wake_at_first_request(**_):
    """Sends what an earlier process has left."""
    request_started.disconnect(dispatch_uid=FIRST_REQUEST)
    wake()


def _run():
    global _thread
    sender = Sender()
    while True:
        _changed.clear()
        pause = _turn(sender)
        if pause == 0:
            continue
        # The thread keeps no connection while it waits.
        connections.close_all()
        if pause is not None:
            time.sleep(pause)
        elif not _changed.wait(IDLE_SECONDS):
            with _lock:
                if not _changed.is_set():
                    _thread = None
                    return


def _turn(sender):
    try:
        pause = sender.turn()
        if pause is None:
            sender.close()
        return pause
    except Exception:
        logger.exception("the chat outbox can't be sent now")
        return ERROR_SECONDS
