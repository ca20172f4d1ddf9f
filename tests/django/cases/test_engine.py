"""With a real engine: what Django has is what the engine has, whatever happened in between."""

import io
import itertools
import logging

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core import checks
from django.core.management import CommandError, call_command
from django.template import Context, Template
from django.test import RequestFactory, TestCase, override_settings

from aristay_chat import counts
from aristay_chat.engine import Engine
from aristay_chat.models import OutboxEntry, SubjectRoom
from aristay_chat.subjects import kind_of
from aristay_chat.tokens import user_token
from properties.models import Property
from tasks.models import Task

from . import support

#: The engine keeps what the database of a test forgets; so no id comes twice.
ids = itertools.count(1_000)


class WithEngine(TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.engine = support.RealEngine().start()
        cls.addClassCleanup(lambda: cls.engine.stop())

    def setUp(self):
        logging.disable(logging.CRITICAL)
        self.addCleanup(logging.disable, logging.NOTSET)
        self.enterContext(support.chat(URL=self.engine.url, INTERNAL_URL=self.engine.url))
        counts._paused_until = 0
        self.ana, self.ben, self.eve = (self.user(name) for name in ("ana", "ben", "eve"))
        self.house = Property.objects.create(pk=next(ids), name="Mill Lane 7")
        self.house.managers.add(self.ben)
        self.task = self.task_of("Fix the boiler", self.ana)

    def user(self, name, **fields):
        pk = next(ids)
        return support.user(f"{name}{pk}", pk=pk, last_name=str(pk), **fields)

    def task_of(self, title, *assignees):
        task = Task.objects.create(pk=next(ids), title=title, property=self.house)
        task.assignees.add(*assignees)
        return task

    def sends(self):
        call_command("send_chat_outbox")
        self.assertEqual(list(OutboxEntry.objects.values_list("kind", "object_id", "error")), [])

    def syncs(self):
        call_command("sync_chat", stdout=io.StringIO())

    def drift(self):
        """Returns what `sync_chat --check` prints, and checks its exit status."""
        out = io.StringIO()
        try:
            call_command("sync_chat", "--check", stdout=out)
        except SystemExit as end:
            self.assertEqual(end.code, 1)
            return out.getvalue().splitlines()
        self.assertIn("as Django has it", out.getvalue())
        return []

    def call(self, user, method, path, body=None, grant=None):
        with Engine() as engine:
            return engine.call(method, path, body, user_token(user, grant))

    def room(self, obj):
        with Engine() as engine:
            return engine.room(SubjectRoom.objects.get(kind=kind_of(obj).name, object_id=obj.pk).room_id)

    def people(self, obj):
        return {participant["user"]["id"] for participant in self.room(obj)["participants"]}


class Synchronizing(WithEngine):
    def test_everything_is_told_and_a_second_time_nothing_changes(self):
        # As in a project that had people and tasks before it had the package.
        OutboxEntry.objects.all().delete()
        self.assertEqual(len([line for line in self.drift() if "unknown" in line or "no room" in line]), 5)
        self.syncs()
        self.assertEqual(self.drift(), [])
        shown = self.room(self.task)
        self.assertEqual(shown["display_name"], "Task: Fix the boiler")
        self.assertEqual(self.people(self.task), {self.ana.pk, self.ben.pk})
        named = {one["user"]["full_name"] for one in shown["participants"]}
        self.assertEqual(named, {self.ana.get_full_name(), self.ben.get_full_name()})
        self.syncs()
        self.assertEqual(self.room(self.task)["modified_at"], shown["modified_at"])
        # Someone who has never opened the chat can be written to.
        direct = self.call(self.ana, "POST", "rooms/", {"room_type": "direct", "participant_ids": [self.eve.pk]})
        self.assertEqual(direct["display_name"], self.eve.get_full_name())

    def test_what_sends_no_signal_is_drift_until_the_next_run(self):
        self.syncs()
        User = get_user_model()
        through = Task.assignees.through
        for change, words in (
            (lambda: Task.objects.filter(pk=self.task.pk).update(title="Mend the boiler"), "another title"),
            (lambda: User.objects.filter(pk=self.ana.pk).update(first_name="Anna"), "another full_name"),
            (lambda: User.objects.filter(pk=self.ana.pk).update(email="anna@app.example"), "another email"),
            (lambda: User.objects.filter(pk=self.ben.pk).update(is_staff=True), "another is_staff"),
            (lambda: User.objects.filter(pk=self.eve.pk).update(is_active=False), "another is_active"),
            (lambda: User.objects.filter(pk=self.eve.pk).update(is_active=True), "unknown or inactive"),
            (lambda: through.objects.bulk_create([through(task=self.task, user=self.eve)]), "not in its room"),
            (lambda: through.objects.filter(user=self.eve)._raw_delete("default"), "without a right"),
            (lambda: Task.objects.bulk_create([Task(pk=next(ids), title="Window")]), "no room"),
        ):
            with self.subTest(words):
                change()
                found = self.drift()
                self.assertEqual(len(found), 1, found)
                self.assertIn(words, found[0])
                self.syncs()
                self.assertEqual(self.drift(), [])

    def test_an_engine_that_is_away_is_no_drift(self):
        with support.chat(INTERNAL_URL=f"http://127.0.0.1:{support.free_port()}"):
            for flags in ([], ["--check"]):
                with self.assertRaises(CommandError) as raised:
                    call_command("sync_chat", *flags)
                self.assertEqual(raised.exception.returncode, 2)


class Following(WithEngine):
    def test_who_is_no_longer_assigned_is_out_and_stays_out(self):
        self.sends()
        old_grant = user_token(self.ana, f"task:{self.task.pk}")
        room = SubjectRoom.objects.get(kind="task", object_id=self.task.pk).room_id
        self.call(self.ana, "POST", "messages/", {"room": str(room), "content": "On my way"})
        self.task.assignees.set([self.eve])
        self.sends()
        self.assertEqual(self.people(self.task), {self.ben.pk, self.eve.pk})
        self.assertTrue(any(one["is_admin"] for one in self.room(self.task)["participants"]))
        with Engine() as engine, self.assertRaisesMessage(Exception, "403"):
            engine.call("PUT", f"tasks/{self.task.pk}/room/", {}, old_grant)
        self.client.force_login(self.ana)
        self.assertEqual(self.client.get(f"/chat-token/?task={self.task.pk}").status_code, 403)

    def test_who_opens_the_page_with_a_right_to_stays(self):
        self.sends()
        boss = self.user("boss", is_superuser=True)
        self.client.force_login(boss)
        token = self.client.get(f"/chat-token/?task={self.task.pk}").json()["token"]
        with Engine() as engine:
            engine.call("PUT", f"tasks/{self.task.pk}/room/", {}, token)
        self.task.save()
        self.sends()
        self.assertIn(boss.pk, self.people(self.task))
        self.assertEqual([line for line in self.drift() if f"task {self.task.pk}" in line], [])

    def test_a_manager_comes_and_goes_and_a_task_moves(self):
        self.sends()
        self.house.managers.set([self.eve])
        self.sends()
        self.assertEqual(self.people(self.task), {self.ana.pk, self.eve.pk})
        self.assertEqual(self.people(self.house), {self.eve.pk})
        self.task.property = None
        self.task.title = "Mend the boiler"
        self.task.save()
        self.sends()
        self.assertEqual(self.people(self.task), {self.ana.pk})
        self.assertEqual(self.room(self.task)["display_name"], "Task: Mend the boiler")

    def test_a_room_can_be_emptied_and_filled_again(self):
        self.task.assignees.add(self.eve)
        self.sends()
        self.task.assignees.clear()
        self.house.managers.clear()
        self.sends()
        self.assertEqual((self.people(self.task), self.people(self.house)), (set(), set()))
        self.task.assignees.add(self.ana)
        self.sends()
        self.assertEqual(self.people(self.task), {self.ana.pk})

    def test_deletions(self):
        self.sends()
        room = SubjectRoom.objects.get(kind="task", object_id=self.task.pk).room_id
        self.call(self.ana, "POST", "messages/", {"room": str(room), "content": "On my way"})
        self.ana.delete()
        self.task.delete()
        self.sends()
        with Engine() as engine:
            shown = engine.room(room)
        self.assertFalse(shown["is_active"])
        self.assertEqual(shown["last_message"]["sender"]["full_name"], "Deleted user")

    def test_odd_texts_arrive(self):
        self.task.title = "  Ünïcode \u202e <b>" + "x" * 290
        self.task.save()
        self.ana.first_name, self.ana.last_name = "A" * 150, "B" * 150
        self.ana.save()
        nameless = self.user("nameless", first_name="")
        nameless.last_name = ""
        nameless.save()
        self.sends()
        self.assertEqual(self.drift(), [])

    def test_an_engine_that_was_killed_gets_what_it_missed(self):
        self.sends()
        self.engine.kill()
        try:
            self.task.title = "Mend the boiler"
            self.task.save()
            self.task.assignees.add(self.eve)
            with self.assertRaises(CommandError):
                call_command("send_chat_outbox")
        finally:
            self.engine.start()
        self.sends()
        self.assertEqual(self.room(self.task)["display_name"], "Task: Mend the boiler")
        self.assertIn(self.eve.pk, self.people(self.task))

    def test_buttons_count_what_one_has_not_read(self):
        other = self.task_of("Window", self.ana)
        self.sends()
        for text in ("One", "Two", "Three"):
            self.call(self.ben, "POST", "messages/", {"room": self.room(self.task)["id"], "content": text})
        request = RequestFactory().get("/")
        request.user = self.ana
        template = Template("{% load aristay_chat %}{% chat_button a %}{% chat_button b %}")
        shown = template.render(Context({"request": request, "a": self.task, "b": other}))
        self.assertIn(">Discuss (3)</a>", shown)
        self.assertIn(">Discuss</a>", shown)


class Checking(WithEngine):
    def found(self):
        return {fault.id for fault in checks.run_checks() if "aristay_chat" in fault.id}

    def test_the_engine_takes_the_key_of_the_document(self):
        self.assertEqual(self.found(), set())

    def test_another_issuer_or_key_is_named(self):
        shared = settings.SIMPLE_JWT
        with override_settings(SIMPLE_JWT={**shared, "ISSUER": None}):
            self.assertEqual(self.found(), {"aristay_chat.W052"})
        with override_settings(SIMPLE_JWT={**shared, "SIGNING_KEY": "another key, which is long enough for HS256"}):
            self.assertEqual(self.found(), {"aristay_chat.W053"})
