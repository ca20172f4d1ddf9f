"""The view that gives pages their tokens."""

import jwt
from django.conf import settings
from django.contrib.auth.models import Permission
from django.test import TestCase
from rest_framework_simplejwt.tokens import AccessToken

from aristay_chat.tokens import service_token
from properties.models import Property
from tasks.models import Task

from .support import chat, user


def claims(token):
    shared = settings.SIMPLE_JWT
    return jwt.decode(token, shared["SIGNING_KEY"], algorithms=["HS256"], issuer=shared["ISSUER"])


class Tokens(TestCase):
    def setUp(self):
        self.ana, self.eve = user("ana", last_name="Lima"), user("eve")
        self.house = Property.objects.create(name="Mill Lane 7")
        self.task = Task.objects.create(title="Boiler", property=self.house)
        self.task.assignees.add(self.ana)

    def asks(self, query="", **headers):
        return self.client.get(f"/chat-token/{query}", **headers)

    def test_nobody_is_told_so(self):
        answer = self.asks(f"?task={self.task.pk}")
        self.assertEqual(answer.status_code, 401)
        self.assertNotIn("X-Chat-Token", answer)
        self.assertEqual(self.asks(HTTP_AUTHORIZATION="Bearer nonsense").status_code, 401)

    def test_the_token_says_who_one_is_and_grants_one_room(self):
        self.client.force_login(self.ana)
        answer = self.asks(f"?task={self.task.pk}")
        told = claims(answer.json()["token"])
        self.assertEqual(answer["X-Chat-Token"], answer.json()["token"])
        self.assertIn("no-store", answer["Cache-Control"])
        self.assertEqual(
            (told["user_id"], told["username"], told["full_name"], told["email"], told["token_type"], told["grant"]),
            (self.ana.pk, "ana", "Ana Lima", "ana@app.example", "access", f"task:{self.task.pk}"),
        )
        self.assertEqual(told["exp"] - told["iat"], 900)
        self.assertNotIn("scope", told)
        self.assertNotIn("grant", claims(self.asks().json()["token"]))
        self.assertNotEqual(claims(self.asks().json()["token"])["jti"], told["jti"])

    def test_only_who_may_view_gets_a_grant(self):
        self.client.force_login(self.eve)
        task = f"?task={self.task.pk}"
        self.assertEqual(self.asks(task).status_code, 403)
        self.eve.user_permissions.add(Permission.objects.get(codename="view_task"))
        self.assertEqual(self.asks(task).status_code, 200)
        self.assertEqual(self.asks(f"?property={self.house.pk}").status_code, 403)
        with chat(TASK={**settings.ARISTAY_CHAT["TASK"], "may_view": lambda user, task: task.title == "Window"}):
            self.assertEqual(self.asks(task).status_code, 403)

    def test_bad_requests(self):
        self.client.force_login(self.ana)
        for text in ("", "x", "-1", "0x1", "999999", "9" * 30, "1%00", "%D9%A1"):
            self.assertEqual(self.asks(f"?task={text}").status_code, 404, text)
        self.assertEqual(self.asks(f"?task={self.task.pk}&property={self.house.pk}").status_code, 400)
        self.assertEqual(self.client.post("/chat-token/").status_code, 405)

    def test_an_app_asks_with_its_own_token(self):
        answer = self.asks(f"?task={self.task.pk}", HTTP_AUTHORIZATION=f"Bearer {AccessToken.for_user(self.ana)}")
        self.assertEqual(claims(answer.json()["token"])["user_id"], self.ana.pk)

    def test_a_token_of_the_host_names_no_user_and_ends_soon(self):
        told = claims(service_token())
        self.assertEqual((told["scope"], told["exp"] - told["iat"]), ("service", 60))
        self.assertNotIn("user_id", told)
