"""What changes is written into the outbox, with the change."""

from django.db import transaction
from django.db.models.signals import m2m_changed, post_delete, post_save, pre_delete, pre_save
from django.test import TestCase

from aristay_chat import tracking
from aristay_chat.models import OutboxEntry
from aristay_chat.subjects import SubjectKind
from properties.models import Property
from tasks.models import Help, Task

from .support import signals_restored, user


def noted():
    """Returns what the outbox holds, each thing once, and empties it."""
    entries = set(OutboxEntry.objects.values_list("kind", "object_id", "deleted"))
    OutboxEntry.objects.all().delete()
    return {(kind, pk) if not deleted else (kind, pk, "deleted") for kind, pk, deleted in entries}


class Tracking(TestCase):
    def setUp(self):
        self.ana, self.ben = user("ana"), user("ben")
        self.house = Property.objects.create(name="Mill Lane 7")
        self.task = Task.objects.create(title="Boiler", property=self.house)
        self.other = Task.objects.create(title="Window")

    def test_new_objects_are_noted(self):
        self.assertEqual(
            noted(),
            {("user", self.ana.pk), ("user", self.ben.pk), ("property", self.house.pk), ("task", self.task.pk),
             ("task", self.other.pk)},
        )

    def test_users_and_what_is_no_news_of_them(self):
        noted()
        self.ana.first_name = "Anna"
        self.ana.save()
        self.assertEqual(noted(), {("user", self.ana.pk)})
        self.ana.save(update_fields=["last_login"])
        self.assertEqual(noted(), set())
        pk = self.ana.pk
        self.ana.delete()
        self.assertEqual(noted(), {("user", pk, "deleted")})

    def test_assignees_from_both_sides(self):
        noted()
        for change in (
            lambda: self.task.assignees.add(self.ana, self.ben),
            lambda: self.task.assignees.remove(self.ana),
            lambda: self.task.assignees.clear(),
            lambda: self.ana.task_set.add(self.task),
            lambda: self.ana.task_set.remove(self.task),
        ):
            change()
            self.assertEqual(noted(), {("task", self.task.pk)})
        self.ana.task_set.add(self.task, self.other)
        noted()
        self.ana.task_set.clear()
        self.assertEqual(noted(), {("task", self.task.pk), ("task", self.other.pk)})

    def test_managers_concern_the_property_and_its_tasks(self):
        noted()
        both = {("property", self.house.pk), ("task", self.task.pk)}
        self.house.managers.add(self.ana)
        self.assertEqual(noted(), both)
        self.ana.property_set.clear()
        self.assertEqual(noted(), both)
        self.task.property = None
        self.task.save()
        self.assertEqual(noted(), {("task", self.task.pk)})
        self.house.managers.add(self.ana)
        self.assertEqual(noted(), {("property", self.house.pk)})

    def test_deletions_say_so(self):
        noted()
        house, task = self.house.pk, self.task.pk
        self.house.delete()
        self.assertLessEqual({("property", house, "deleted"), ("task", task, "deleted")}, noted())

    def test_what_is_rolled_back_is_not_noted(self):
        noted()
        try:
            with transaction.atomic():
                self.task.assignees.add(self.ana)
                raise ValueError
        except ValueError:
            pass
        self.assertEqual(noted(), set())

    def test_fixtures_are_left_to_sync_chat(self):
        noted()
        post_save.send(Task, instance=self.task, created=True, raw=True, using="default", update_fields=None)
        self.assertEqual(noted(), set())

    def test_relations_with_a_model_of_their_own(self):
        for participants in ("help_rows.user", "helpers"):
            kind = SubjectKind("task", "tasks", {"model": "tasks.Task", "participants": participants})
            every = (pre_save, post_save, pre_delete, post_delete, m2m_changed)
            with self.subTest(participants), signals_restored(*every):
                for path in kind.watched_paths():
                    tracking._watch(kind, path)
                noted()
                row = Help.objects.create(task=self.task, user=self.ana)
                self.assertEqual(noted(), {("task", self.task.pk)})
                self.assertEqual(kind.participants(self.task), [self.ana])
                row.task = self.other
                row.save()
                self.assertEqual(noted(), {("task", self.task.pk), ("task", self.other.pk)})
                row.delete()
                self.assertEqual(noted(), {("task", self.other.pk)})
