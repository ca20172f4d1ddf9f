"""A bot with two commands and buttons: pip install websockets, then
CHAT_URL=http://127.0.0.1:8000 BOT_TOKEN=bot_... python3 example_bot.py"""

import asyncio
import json
import os
import urllib.request

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

URL = os.environ["CHAT_URL"]
HEADERS = {"Authorization": "Bearer " + os.environ["BOT_TOKEN"]}
COMMANDS = [
    {"name": "echo", "description": "Says it back, to you alone", "hint": "a text"},
    {"name": "ask", "description": "Asks the room", "hint": "a question"},
]


def call(method, path, body):
    headers = {**HEADERS, "Content-Type": "application/json"}
    request = urllib.request.Request(f"{URL}/api/chat/{path}", json.dumps(body).encode(), headers, method=method)
    urllib.request.urlopen(request, timeout=15).close()


def handle(frame):
    if frame["type"] == "card_action":
        text = f"The answer is {frame['action']}."
        call("POST", "messages/", {"room": frame["room_id"], "content": text})
    elif frame["type"] == "command" and frame["name"] == "echo":
        answer = {"token": frame["token"], "content": frame["text"] or "?", "only_to_caller": True}
        call("POST", "commands/answer/", answer)
    elif frame["type"] == "command" and frame["name"] == "ask":
        buttons = [{"id": "yes", "text": "Yes", "style": "primary"}, {"id": "no", "text": "No"}]
        card = {"v": 1, "kind": "card", "title": frame["text"] or "?", "buttons": buttons}
        call("POST", "messages/", {"room": frame["room_id"], "card": card})


async def main():
    await asyncio.to_thread(call, "PUT", "commands/", COMMANDS)
    # A connection that ends is opened again, after a pause that grows.
    async for socket in connect(URL.replace("http", "ws", 1) + "/ws/chat/", additional_headers=HEADERS):
        try:
            async for text in socket:
                await asyncio.to_thread(handle, json.loads(text))
        except ConnectionClosed:
            continue


asyncio.run(main())
