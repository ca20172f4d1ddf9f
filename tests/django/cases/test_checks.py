"""`manage.py check` names each mistake."""

from django.conf import settings
from django.core import checks
from django.test import SimpleTestCase, override_settings

from .support import PlayedEngine, chat, free_port


def found():
    """Returns the faults that the check finds, by id."""
    faults = [fault for fault in checks.run_checks() if "aristay_chat" in fault.id]
    return {fault.id.removeprefix("aristay_chat."): fault for fault in faults}


class Checks(SimpleTestCase):
    def names(self, fault_id, *words):
        faults = found()
        self.assertIn(fault_id, faults)
        text = f"{faults[fault_id].msg} {faults[fault_id].hint}"
        for word in words:
            self.assertIn(word, text)

    def test_the_settings_of_the_document_are_right(self):
        with PlayedEngine():
            self.assertEqual(found(), {})

    def test_mistakes_in_the_settings_are_named(self):
        task = settings.ARISTAY_CHAT["TASK"]
        for changed, fault_id, words in (
            ({"URI": "https://chat.example"}, "E002", ["'URI'", "INTERNAL_URL"]),
            ({"URL": "chat.example"}, "E003", ["URL", "'chat.example'"]),
            ({"URL": "https://chat.example/chat"}, "E003", ["URL"]),
            ({"TOKEN_SECONDS": "900"}, "E004", ["TOKEN_SECONDS"]),
            ({"SENDER": "celery"}, "E005", ["'celery'", "thread"]),
            ({"WEBHOOK_SECRET": "hunter2"}, "E006", ["Base64", "whsec_"]),
            ({"WEBHOOK_SECRET": "whsec_c2hvcnQ="}, "E006", ["16"]),
            ({"USER": {"name": "username"}}, "E007", ["'name'", "full_name"]),
            ({"USER": {"full_name": "nick"}}, "E021", ["'nick'"]),
            ({"TASK": "tasks.Task"}, "E030", ["TASK"]),
            ({"TASK": {**task, "titel": "title"}}, "E031", ["'titel'"]),
            ({"TASK": {**task, "model": "tasks.Job"}}, "E032", ["'tasks.Job'"]),
            ({"TASK": {**task, "model": "sessions.Session"}}, "E033", ["sessions.Session"]),
            ({"TASK": {**task, "participants": None}}, "E034", ["participants"]),
            ({"TASK": {**task, "participants": "property.owners"}}, "E035", ["properties.Property", "'owners'"]),
            ({"TASK": {**task, "participants": "asignees"}}, "E035", ["'asignees'", "tasks.Task"]),
            ({"TASK": {**task, "may_view": "tasks.rules.may_view"}}, "E036", ["tasks.rules"]),
            ({"TASK": {**task, "participants": lambda task: []}}, "W037", ["depends_on"]),
        ):
            with self.subTest(changed), chat(**changed):
                self.names(fault_id, *words)

    def test_missing_settings_and_urls_are_named(self):
        with override_settings(ARISTAY_CHAT=None):
            self.names("E001", "ARISTAY_CHAT")
        with override_settings(ROOT_URLCONF="project.no_urls"):
            self.names("E041", "aristay_chat.urls")

    def test_a_key_that_the_engine_would_refuse_is_named(self):
        with override_settings(SIMPLE_JWT={"SIGNING_KEY": "short", "ISSUER": "aristay-app"}):
            self.names("E011", "5 bytes", "32", "JWT_SECRET")
        with override_settings(SIMPLE_JWT={}, SECRET_KEY="django-insecure-" + "x8%" * 15):
            self.names("E012", "SECRET_KEY")
        with chat(ALGORITHM="none"):
            self.names("E010", "none")
        with override_settings(SIMPLE_JWT={"ALGORITHM": "RS256", "SIGNING_KEY": "no key"}):
            self.names("E018", "RS256")

    def test_what_differs_from_simplejwt_is_named(self):
        with chat(SIGNING_KEY="another key, which is long enough for HS256"):
            self.names("E013", "SIGNING_KEY", "SIMPLE_JWT")
        with chat(ALGORITHM="HS512"):
            self.names("E014", "'HS512'", "'HS256'")
        with chat(ISSUER="someone"):
            self.names("E015", "'someone'", "'aristay-app'", "JWT_ISSUER")
        with chat(AUDIENCE="chat"):
            self.names("E016", "'chat'", "JWT_AUDIENCE")
        with override_settings(SIMPLE_JWT={**settings.SIMPLE_JWT, "USER_ID_CLAIM": "sub"}):
            self.names("E017", "user_id")

    def test_an_engine_that_is_away_is_a_warning(self):
        away = f"http://127.0.0.1:{free_port()}"
        with chat(INTERNAL_URL=away):
            self.names("W050", away, "outbox")
            self.assertFalse(found()["W050"].is_serious())
        with chat(INTERNAL_URL=away, CHECK_ENGINE=False):
            self.assertEqual(found(), {})
        with PlayedEngine() as engine:
            engine.faults = [("GET .*", (404, b"<h1>Not found</h1>"))]
            self.names("W050", engine.url, "without JSON")
