"""What the engine has rooms of: the project's tasks and properties, as TASK and PROPERTY declare them."""

from dataclasses import dataclass

from django.apps import apps
from django.contrib.auth import get_user_model
from django.db import router

from . import paths
from .conf import chat_settings

TITLE_CHARS_MAX = 255


@dataclass(frozen=True)
class SubjectKind:
    """The tasks, or the properties."""

    #: "task" or "property", as in a grant.
    name: str
    #: Where the engine has them.
    collection: str
    #: What the project declares.
    options: dict

    @property
    def model(self):
        """The model. Raises LookupError or ValueError if there is none."""
        return apps.get_model(self.options.get("model") or "")

    def objects(self):
        """Returns every object, those that a manager hides too, from the database that is written to."""
        return self.model._base_manager.using(router.db_for_write(self.model))

    def title(self, obj):
        """Returns the title that the room gets."""
        title = paths.value_of(self.options.get("title") or str, obj)
        return str(title or "").replace("\0", "").strip()[:TITLE_CHARS_MAX].strip()

    def participants(self, obj):
        """Returns the active users who belong into the room, each once, in the order in which they are named."""
        users = {}
        for user in paths.values_of(self.options.get("participants") or [], obj):
            if user.is_active:
                users.setdefault(user.pk, user)
        return list(users.values())

    def may_view(self, user, obj):
        """Whether `user` may be in the room: gets a grant, and isn't removed.

        By default those who belong into it, and those who may view every object of the model.
        """
        if not user.is_active:
            return False
        if "may_view" in self.options:
            return bool(paths.function_of(self.options["may_view"])(user, obj))
        meta = self.model._meta
        permission = f"{meta.app_label}.view_{meta.model_name}"
        return any(one.pk == user.pk for one in self.participants(obj)) or user.has_perm(permission)

    def has_room(self, obj):
        """Whether the object gets a room before anyone opens it. By default each does."""
        wanted = self.options.get("has_room")
        return wanted is None or bool(paths.value_of(wanted, obj))

    def watched_paths(self):
        """Returns the paths whose objects decide the title or the participants."""
        specs = [self.options.get(name) or [] for name in ("depends_on", "participants", "title")]
        listed = [one for spec in specs for one in (spec if isinstance(spec, (list, tuple)) else [spec])]
        return [one for one in dict.fromkeys(listed) if paths.is_path(one, self.model)]


def kinds():
    """Returns the kinds that the project declares."""
    chat = chat_settings()
    declared = [("task", "tasks", chat.task), ("property", "properties", chat.property)]
    return [SubjectKind(name, at, options) for name, at, options in declared if isinstance(options, dict)]


def kind_named(name):
    """Returns the kind of that name, or None."""
    return next((kind for kind in kinds() if kind.name == name), None)


def kind_of(obj):
    """Returns the kind that `obj` belongs to.

    Raises LookupError, with a sentence, if it is neither a task nor a property.
    """
    for kind in kinds():
        if isinstance(obj, kind.model):
            return kind
    declared = " nor ".join(kind.options["model"] for kind in kinds()) or "declared in ARISTAY_CHAT"
    raise LookupError(f"a chat needs a task or a property; {obj.__class__.__name__} is neither {declared}")


def users_by_id(ids):
    """Returns the users with these ids, by id."""
    model = get_user_model()
    found = model._base_manager.using(router.db_for_write(model)).filter(pk__in=list(ids))
    return {user.pk: user for user in found}
