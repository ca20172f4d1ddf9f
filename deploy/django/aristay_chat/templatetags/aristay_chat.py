"""{% load aristay_chat %}: chat_room, chat_badge, chat_button, chat_app, chat_scripts."""

from django import template
from django.templatetags.static import static
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import mark_safe
from django.utils.translation import gettext as _

from aristay_chat.conf import chat_settings
from aristay_chat.counts import unread
from aristay_chat.subjects import kind_of

register = template.Library()

_SCRIPTS_DONE = "_aristay_chat_scripts"
#: Higher counts are shown as "99+".
COUNT_MAX = 99


@register.simple_tag(takes_context=True)
def chat_room(context, obj, **attributes):
    """The room of a task or property. Further arguments become attributes: theme="dark", class="side"."""
    kind = kind_of(obj)
    own = {
        "id": _anchor(kind, obj),
        kind.name: obj.pk,
        "subject": kind.title(obj),
        "data-chat-token-url": f"{reverse('aristay_chat:token')}?{kind.name}={obj.pk}",
    }
    return _scripts_once(context) + _tag("chat-room", {**own, **attributes})


@register.simple_tag(takes_context=True)
def chat_badge(context, **attributes):
    """The user's number of unread messages, live."""
    return _user_tag(context, "chat-badge", attributes)


@register.simple_tag(takes_context=True)
def chat_app(context, **attributes):
    """The whole chat: list, conversation, people."""
    return _user_tag(context, "chat-app", attributes)


@register.simple_tag(takes_context=True)
def chat_button(context, obj, href=None, label=None, **attributes):
    """A link to the room of a task or property, with the number of unread messages in it.

    Without `href` it leads to the object's own page (get_absolute_url), to its chat_room. All buttons of a
    page cost one call to the engine; while that is away they show no numbers.
    """
    kind = kind_of(obj)
    if href is None:
        if not hasattr(obj, "get_absolute_url"):
            raise template.TemplateSyntaxError(
                f"chat_button needs href=, because {kind.model.__name__} has no get_absolute_url",
            )
        href = f"{obj.get_absolute_url()}#{_anchor(kind, obj)}"
    request = context.get("request")
    count = unread(request).get((kind.name, obj.pk), 0) if request is not None else 0
    label = _("Discuss") if label is None else label
    shown = f"{COUNT_MAX}+" if count > COUNT_MAX else count
    text = format_html("{} ({})", label, shown) if count else label
    own = {"class": "chat-button", "href": href}
    return format_html("<a{}>{}</a>", _flat({**own, **attributes}), text)


@register.simple_tag(takes_context=True)
def chat_scripts(context):
    """The scripts, for a page whose tags come later; otherwise the first tag of a page brings them."""
    return _scripts_once(context)


def _user_tag(context, name, attributes):
    return _scripts_once(context) + _tag(name, {"data-chat-token-url": reverse("aristay_chat:token"), **attributes})


def _anchor(kind, obj):
    return f"chat-{kind.name}-{obj.pk}"


def _scripts_once(context):
    # The request is the page: templates and fragments of it have contexts of their own.
    request = context.get("request")
    if request is not None:
        if getattr(request, _SCRIPTS_DONE, False):
            return mark_safe("")
        setattr(request, _SCRIPTS_DONE, True)
    return format_html(
        '<script src="{}" defer></script><script type="module" src="{}/chat-room.js"></script>',
        static("aristay_chat/chat.js"),
        chat_settings().url,
    )


def _tag(name, attributes):
    # The name is one of this file.
    return format_html("<{0}{1}></{0}>", mark_safe(name), _flat(attributes))


def _flat(attributes):
    # Arguments of template tags are Python names; attributes have hyphens.
    return format_html_join("", ' {}="{}"', ((name.replace("_", "-"), value) for name, value in attributes.items()))
