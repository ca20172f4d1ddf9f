"""Include these at the root: path("", include("aristay_chat.urls"))."""

from django.urls import path

from . import views

app_name = "aristay_chat"
urlpatterns = [
    path("chat-token/", views.chat_token, name="token"),
    # Where nginx asks, see deploy/nginx.conf of the engine. From outside, /chat/ is the engine's.
    path("chat/token/", views.chat_token, name="token-for-nginx"),
    path("chat-webhook/", views.chat_webhook, name="webhook"),
]
