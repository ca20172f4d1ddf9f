"""Calls the engine's REST interface as the host application.

Every call is bounded in time. An answer that says nothing about what was asked (no connection, an error of
the server or of a proxy, a wrong key) is EngineUnavailable: try again later. One that refuses what was asked
is EngineRefused: trying again doesn't help.
"""

import os

import requests

from .conf import chat_settings
from .tokens import service_token

#: Seconds to connect, and to wait for each part of an answer.
TIMEOUT = (3, 20)
#: Users in one call, and participants of a room in one call.
PEOPLE_MAX = 1_000
PAGE_SIZE = 100
#: Pages of the directory that are read at most.
PAGES_MAX = 10_000
#: Statuses after which the same call may succeed later. 401 is a wrong key, which someone has to correct.
LATER = {401, 408, 425, 429}


class EngineError(Exception):
    """A call that had no result."""


class EngineUnavailable(EngineError):
    """The engine can't be asked now. `retry_after` is in seconds, or None."""

    def __init__(self, message, retry_after=None, status=None):
        super().__init__(message)
        self.retry_after = retry_after
        self.status = status


class EngineRefused(EngineError):
    """The engine refuses what it was asked. `body` is its answer."""

    def __init__(self, status, body):
        super().__init__(f"{status}: {body}")
        self.status = status
        self.body = body


class Engine:
    """A connection to the engine, with the rights of the host application."""

    def __init__(self, timeout=TIMEOUT):
        self._base = chat_settings().internal_url
        self._timeout = timeout
        self._session = requests.Session()
        # Proxies and passwords of the environment aren't meant for the engine; a bundle of certificates is.
        self._session.trust_env = False
        self._session.verify = os.environ.get("REQUESTS_CA_BUNDLE") or True

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._session.close()

    def sync_users(self, users):
        """Tells the engine of users, each as `users.describe` has it."""
        for at in range(0, len(users), PEOPLE_MAX):
            self.call("POST", "users/sync/", users[at : at + PEOPLE_MAX])

    def put_user(self, pk, told):
        """Tells of one user, and returns what the engine has of them; with `{}` nothing is changed."""
        return self.call("PUT", f"users/{pk}/", {name: told[name] for name in told if name != "id"})

    def erase_user(self, pk):
        """Ends the account of a user, who stays as a nameless author. Does nothing if there is none."""
        self._unless_missing("DELETE", f"users/{pk}/")

    def directory(self):
        """Yields the active users whom the engine knows."""
        for page in range(1, PAGES_MAX + 1):
            found = self.call("GET", f"users/?page={page}&page_size={PAGE_SIZE}")
            yield from found["results"]
            if not found["next"]:
                return

    def put_room(self, kind, pk, title, user_ids):
        """Gives the room of a task or property its title, adds users to it, and returns it."""
        path = f"{kind.collection}/{pk}/room/"
        room = None
        for at in range(0, max(len(user_ids), 1), PEOPLE_MAX):
            told = {"participant_ids": user_ids[at : at + PEOPLE_MAX]}
            # Without a title the engine keeps its own.
            room = self.call("PUT", path, {**told, "title": title} if title else told)
        return room

    def room(self, room_id):
        """Returns a room, or None if there is none."""
        return self._unless_missing("GET", f"rooms/{room_id}/")

    def archive_room(self, room_id):
        """Closes a room to new messages. Does nothing if there is none."""
        self._unless_missing("POST", f"rooms/{room_id}/archive/")

    def make_admin(self, participant_id):
        """Makes someone in a room an admin of it."""
        self.call("PATCH", f"participants/{participant_id}/", {"is_admin": True})

    def remove_participant(self, participant_id):
        """Takes someone out of a room. Does nothing if they are out already."""
        self._unless_missing("DELETE", f"participants/{participant_id}/")

    def call(self, method, path, body=None, token=None):
        """Makes one call and returns the JSON of its answer.

        Raises EngineUnavailable or EngineRefused.
        """
        headers = {"Authorization": f"Bearer {token or service_token()}", "Accept": "application/json"}
        try:
            answer = self._session.request(
                method, f"{self._base}/api/chat/{path}", json=body, headers=headers, timeout=self._timeout,
                allow_redirects=False,
            )
        except requests.RequestException as error:
            # The text of the error may hold addresses, but never the token.
            raise EngineUnavailable(f"{self._base} can't be reached: {error.__class__.__name__}") from error
        if answer.status_code == 204:
            return None
        try:
            content = answer.json()
        except ValueError:
            raise EngineUnavailable(
                f"{self._base} doesn't answer as the engine does ({answer.status_code} without JSON)",
                status=answer.status_code,
            ) from None
        if answer.ok:
            return content
        if answer.status_code in LATER or answer.status_code >= 500:
            raise EngineUnavailable(
                f"{method} {path}: {answer.status_code}", _seconds(answer), answer.status_code,
            )
        raise EngineRefused(answer.status_code, content)

    def _unless_missing(self, method, path):
        try:
            return self.call(method, path)
        except EngineRefused as refused:
            if refused.status == 404:
                return None
            raise


def _seconds(answer):
    text = answer.headers.get("Retry-After", "")
    return float(text) if text.isdigit() else None
