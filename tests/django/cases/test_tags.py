"""The template tags."""

import logging
import time
import uuid

from django.template import Context, Template, TemplateSyntaxError
from django.test import RequestFactory, TestCase

from aristay_chat import counts
from aristay_chat.models import SubjectRoom
from properties.models import Property
from tasks.models import Task

from .support import PlayedEngine, chat, free_port, user


class Tags(TestCase):
    def setUp(self):
        self.engine = self.enterContext(PlayedEngine())
        counts._paused_until = 0
        self.ana = user("ana")
        self.house = Property.objects.create(name="Mill Lane 7")
        self.tasks = [Task.objects.create(title=f"<b>{n}</b>", property=self.house) for n in range(3)]

    def shows(self, text, who=None, **context):
        request = RequestFactory().get("/")
        request.user = who or self.ana
        template = Template("{% load aristay_chat %}" + text)
        return template.render(Context({"request": request, "tasks": self.tasks, "task": self.tasks[0], **context}))

    def test_a_room_has_what_the_element_needs_and_nothing_of_a_title_is_markup(self):
        pk = self.tasks[0].pk
        shown = self.shows('{% chat_room task theme="dark" class=own %}', own='a"b')
        self.assertIn(
            f'<chat-room id="chat-task-{pk}" task="{pk}" subject="&lt;b&gt;0&lt;/b&gt;" '
            f'data-chat-token-url="/chat-token/?task={pk}" theme="dark" class="a&quot;b"></chat-room>',
            shown,
        )
        self.assertIn(f'<script type="module" src="{self.engine.url}/chat-room.js"></script>', shown)
        self.assertIn('<script src="/static/aristay_chat/chat.js" defer></script>', shown)
        self.assertIn(f'property="{self.house.pk}"', self.shows("{% chat_room house %}", house=self.house))

    def test_the_scripts_come_once_for_a_page(self):
        for text in (
            "{% chat_badge %}{% chat_room task %}{% chat_app %}",
            "<head>{% chat_scripts %}</head>{% chat_badge %}",
        ):
            self.assertEqual(self.shows(text).count("<script"), 2)

    def test_buttons_count_in_one_call_for_the_page(self):
        rooms = [uuid.uuid4() for _ in self.tasks]
        for task, room in zip(self.tasks, rooms):
            SubjectRoom.objects.create(kind="task", object_id=task.pk, room_id=room)
        self.engine.unread = {str(rooms[0]): 3, str(rooms[1]): 0, str(rooms[2]): 140, str(uuid.uuid4()): 5}
        with self.assertNumQueries(1):
            shown = self.shows("{% for task in tasks %}{% chat_button task %}|{% endfor %}")
        pk = self.tasks[0].pk
        self.assertIn(f'<a class="chat-button" href="/tasks/{pk}/#chat-task-{pk}">Discuss (3)</a>', shown)
        labels = [one.split(">")[-2] for one in shown.split("|")[:3]]
        self.assertEqual(labels, ["Discuss (3)</a", "Discuss</a", "Discuss (99+)</a"])
        self.assertEqual(self.engine.made(), ["unread/"])
        shown = self.shows("{% chat_button task href=href label=label %}", href="/x?a=1&b=2", label="Talk <now>")
        self.assertIn('href="/x?a=1&amp;b=2">Talk &lt;now&gt; (3)</a>', shown)

    def test_a_page_does_not_wait_for_an_engine_that_is_away(self):
        logging.disable(logging.CRITICAL)
        self.addCleanup(logging.disable, logging.NOTSET)
        with chat(INTERNAL_URL=f"http://127.0.0.1:{free_port()}"):
            self.assertIn(">Discuss</a>", self.shows("{% chat_button task %}"))
        self.assertIn(">Discuss</a>", self.shows("{% chat_button task %}"))
        self.assertEqual(self.engine.calls, [], "after a failure it isn't asked for a while")
        self.assertGreater(counts._paused_until, time.monotonic())

    def test_what_can_have_no_chat_is_named(self):
        with self.assertRaisesMessage(LookupError, "User is neither tasks.Task nor properties.Property"):
            self.shows("{% chat_room user %}", user=self.ana)
        with self.assertRaisesMessage(TemplateSyntaxError, "href="):
            self.shows("{% chat_button house %}", house=self.house)
