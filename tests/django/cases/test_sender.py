"""The outbox is sent in order, at least once, and nobody waits for the engine."""

import logging
import time
from datetime import timedelta
from unittest import mock

from django.core.management import CommandError, call_command
from django.test import TestCase, TransactionTestCase
from django.utils import timezone

from aristay_chat import worker
from aristay_chat.engine import Engine
from aristay_chat.models import OutboxEntry, SenderLease, SubjectRoom
from aristay_chat.outbox import Lease, compact, record
from aristay_chat.sender import RETRY_SECONDS_MAX, Sender
from aristay_chat.subjects import SubjectKind
from properties.models import Property
from tasks.models import Task

from .support import PlayedEngine, chat, free_port, user, wait_until


class Sending(TestCase):
    def setUp(self):
        # What is set aside is logged.
        logging.disable(logging.CRITICAL)
        self.addCleanup(logging.disable, logging.NOTSET)
        self.engine = self.enterContext(PlayedEngine())
        self.ana, self.ben = user("ana", last_name="Lima"), user("ben")
        self.house = Property.objects.create(name="Mill Lane 7")
        self.task = Task.objects.create(title="Boiler", property=self.house)
        self.task.assignees.add(self.ana)
        self.house.managers.add(self.ben)

    def sends(self):
        call_command("send_chat_outbox")
        self.assertFalse(OutboxEntry.objects.filter(refused_at=None).exists())

    def test_people_come_first_and_once(self):
        self.sends()
        self.assertEqual(
            [path for path in self.engine.made()],
            ["users/sync/", f"properties/{self.house.pk}/room/", f"tasks/{self.task.pk}/room/"],
        )
        told = self.engine.people[self.ana.pk]
        self.assertEqual(
            told,
            {"id": self.ana.pk, "username": "ana", "full_name": "Ana Lima", "email": "ana@app.example",
             "is_active": True, "is_staff": False, "tokens_valid_from": None},
        )
        self.assertEqual(self.engine.people_of("tasks", self.task.pk), {self.ana.pk, self.ben.pk})
        self.assertEqual(self.engine.rooms["tasks", str(self.task.pk)]["title"], "Boiler")
        call_command("send_chat_outbox")
        self.assertEqual(len(self.engine.calls), 3)

    def test_who_may_no_longer_view_is_removed_and_strangers_stay(self):
        staff = user("staff", is_superuser=True)
        self.sends()
        room = self.engine.rooms["tasks", str(self.task.pk)]
        # Who came by a grant, and a guest whom only the engine knows.
        room["people"].update({staff.pk: 901, 77_777: 902})
        self.task.assignees.set([self.ben])
        self.sends()
        self.assertEqual(set(room["people"]), {self.ben.pk, staff.pk, 77_777})

    def test_while_the_engine_is_down_everything_waits(self):
        self.sends()
        with chat(INTERNAL_URL=f"http://127.0.0.1:{free_port()}"):
            started = time.monotonic()
            for n in range(20):
                self.task.title = f"Boiler {n}"
                self.task.save()
            self.assertLess(time.monotonic() - started, 2)
            with self.assertRaises(CommandError):
                call_command("send_chat_outbox")
            # Of twenty rows the last one is enough.
            self.assertEqual(OutboxEntry.objects.count(), 1)
            sender = Sender()
            pauses = [sender.turn() for _ in range(8)]
            self.assertEqual(pauses, [1, 2, 4, 8, 16, 32, RETRY_SECONDS_MAX, RETRY_SECONDS_MAX])
            sender.close()
        self.sends()
        self.assertEqual(self.engine.rooms["tasks", str(self.task.pk)]["title"], "Boiler 19")

    def test_answers_that_say_nothing_about_the_row_keep_it(self):
        for answer in ((503, {"code": "unavailable"}), (401, {"code": "token_not_valid"}), (429, {}), (200, b"<html>")):
            with self.subTest(answer):
                self.engine.faults = [("PUT tasks/.*", answer)]
                self.task.save()
                with self.assertRaises(CommandError):
                    call_command("send_chat_outbox")
                self.assertTrue(OutboxEntry.objects.filter(kind="task", refused_at=None).exists())
        self.engine.faults = []
        self.sends()

    def test_a_refused_row_is_set_aside_and_the_next_change_settles_it(self):
        self.engine.faults = [(f"PUT tasks/{self.task.pk}/.*", (400, {"title": ["No."]}))]
        other = Task.objects.create(title="Window")
        self.sends()
        entry = OutboxEntry.objects.exclude(refused_at=None).latest("pk")
        self.assertEqual((entry.kind, entry.object_id), ("task", self.task.pk))
        self.assertIn("No.", entry.error)
        self.assertIn(("tasks", str(other.pk)), self.engine.rooms)
        self.engine.faults = []
        self.task.save()
        self.sends()
        self.assertEqual(OutboxEntry.objects.count(), 0)

    def test_one_user_who_is_refused_delays_no_other(self):
        sync = self.engine.answer

        def refuses(method, path, body):
            if path == "users/sync/" and any(told["id"] == self.ben.pk for told in body):
                return 400, {"username": ["No."]}
            if path == f"users/{self.ben.pk}/":
                return 400, {"username": ["No."]}
            if method == "PUT" and path.startswith("users/"):
                self.engine.people[int(path.split("/")[1])] = body
                return 200, body
            return sync(method, path, body)

        self.house.managers.clear()
        with mock.patch.object(self.engine, "answer", refuses):
            self.sends()
        self.assertIn(self.ana.pk, self.engine.people)
        aside = OutboxEntry.objects.exclude(refused_at=None)
        self.assertEqual({(one.kind, one.object_id) for one in aside}, {("user", self.ben.pk)})

    def test_a_function_of_the_project_that_fails_delays_no_other(self):
        def participants(task):
            return [self.ana] if task.title == "Window" else 1 / 0

        other = Task.objects.create(title="Window")
        options = {"model": "tasks.Task", "title": "title", "participants": participants, "depends_on": ["assignees"]}
        with chat(URL=self.engine.url, INTERNAL_URL=self.engine.url, TASK=options):
            self.sends()
        self.assertEqual(self.engine.people_of("tasks", other.pk), {self.ana.pk})
        aside = OutboxEntry.objects.filter(kind="task", object_id=self.task.pk).first()
        self.assertIn("ZeroDivisionError", aside.error)

    def test_deletions(self):
        self.sends()
        ana, task = self.ana.pk, self.task.pk
        room = SubjectRoom.objects.get(kind="task", object_id=task).room_id
        self.ana.delete()
        self.task.delete()
        self.sends()
        self.assertEqual(self.engine.made("DELETE"), [f"users/{ana}/"])
        self.assertEqual(self.engine.made("POST")[-1:], [f"rooms/{room}/archive/"])
        self.assertFalse(SubjectRoom.objects.filter(kind="task", object_id=task).exists())

    def test_what_is_missing_without_a_deletion_is_left_alone(self):
        self.sends()
        self.engine.calls.clear()
        record("user", [424_242])
        record("task", [424_242])
        self.sends()
        self.assertEqual(self.engine.calls, [])

    def test_objects_without_a_room_get_none_until_there_is_one(self):
        options = {"model": "tasks.Task", "title": "title", "participants": "assignees", "has_room": lambda task: False}
        with chat(URL=self.engine.url, INTERNAL_URL=self.engine.url, TASK=options):
            self.sends()
            self.assertNotIn(("tasks", str(self.task.pk)), self.engine.rooms)
            self.engine.answer("PUT", f"tasks/{self.task.pk}/room/", {"participant_ids": []})
            room = self.engine.rooms["tasks", str(self.task.pk)]["id"]
            SubjectRoom.objects.create(kind="task", object_id=self.task.pk, room_id=room)
            self.task.save()
            self.sends()
            self.assertEqual(self.engine.people_of("tasks", self.task.pk), {self.ana.pk})

    def test_one_process_sends_at_a_time(self):
        other = Lease()
        self.assertTrue(other.acquire())
        self.assertGreater(Sender().turn(), 0)
        self.assertEqual(self.engine.calls, [])
        # One that has died keeps nobody waiting for long.
        SenderLease.objects.update(until=timezone.now() - timedelta(seconds=1))
        sender = Sender()
        self.assertEqual(sender.turn(), 0)
        self.assertFalse(other.acquire())
        sender.close()
        self.assertTrue(other.acquire())

    def test_who_has_lost_the_right_meanwhile_sends_again(self):
        self.sends()
        self.task.save()
        answer = self.engine.answer

        def slowly(method, path, body):
            SenderLease.objects.update(holder="another", until=timezone.now() + timedelta(minutes=1))
            OutboxEntry.objects.all().delete()
            return answer(method, path, body)

        with mock.patch.object(Engine, "put_room", autospec=True) as put_room:
            def put(engine, kind, pk, title, ids):
                slowly("GET", "", None)
                return answer("PUT", f"tasks/{pk}/room/", {"participant_ids": ids, "title": title})[1]

            put_room.side_effect = put
            self.assertGreater(Sender().turn(), 0)
        self.assertEqual(list(OutboxEntry.objects.values_list("kind", "object_id")), [("task", self.task.pk)])

    def test_compacting_keeps_the_last_row_and_deletions(self):
        OutboxEntry.objects.all().delete()
        record("task", [1, 2, 1, 1])
        record("task", [2], deleted=True)
        record("task", [2])
        compact()
        self.assertEqual(
            list(OutboxEntry.objects.order_by("pk").values_list("object_id", "deleted")),
            [(1, False), (2, True), (2, False)],
        )

    def test_large_rooms_are_told_in_several_calls(self):
        kind = SubjectKind("task", "tasks", {"model": "tasks.Task"})
        ids = list(range(1, 2_502))
        self.engine.people.update({pk: {} for pk in ids})
        with Engine() as engine:
            room = engine.put_room(kind, 5, "Many", ids)
        self.assertEqual(len(room["participants"]), 2_501)
        self.assertEqual(len(self.engine.calls), 3)


class Thread(TransactionTestCase):
    def test_a_thread_sends_what_is_committed(self):
        with PlayedEngine() as engine, chat(URL=engine.url, INTERNAL_URL=engine.url, SENDER="thread"):
            with mock.patch.object(worker, "IDLE_SECONDS", 0.2):
                user("ana")
                wait_until(lambda: engine.people, "the sending")
                wait_until(lambda: worker._thread is None, "the end of the thread")
                user("ben")
                wait_until(lambda: len(engine.people) == 2, "the sending")
                wait_until(lambda: worker._thread is None, "the end of the thread")
        self.assertEqual(OutboxEntry.objects.count(), 0)
