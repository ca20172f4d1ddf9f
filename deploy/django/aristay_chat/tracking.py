"""Notices changes of users, tasks, properties, and of what decides their participants and titles.

Django sends no signal for QuerySet.update, bulk_create and SQL; sync_chat makes up for those.
"""

from functools import partial

from django.apps import apps
from django.conf import settings
from django.db import router
from django.db.models import ManyToManyField, ManyToManyRel
from django.db.models.signals import m2m_changed, post_delete, post_save, pre_delete, pre_save

from . import paths
from .models import OutboxEntry
from .outbox import record
from .subjects import kinds

#: Fields of a user that change without the engine caring.
UNTOLD = {"last_login"}


def connect():
    """Connects the handlers. What is declared wrongly is left out; the system check names it."""
    user = settings.AUTH_USER_MODEL
    _on(post_save, user, "user", _user_saved)
    _on(post_delete, user, "user", _user_deleted)
    for kind in kinds():
        try:
            model = kind.model
        except (LookupError, ValueError):
            continue
        _on(post_save, model, kind.name, partial(_subject_saved, kind))
        _on(post_delete, model, kind.name, partial(_subject_deleted, kind))
        for path in kind.watched_paths():
            _watch(kind, path)


def _watch(kind, path):
    try:
        steps = list(paths.steps(kind.model, path))
    except AttributeError:
        return
    for before, step in zip([None, *steps], steps):
        if before is not None:
            # The tasks of a property, when the property changes.
            key = f"{kind.name} {step.lookup}"
            find = partial(_subjects_of, kind, step.lookup)
            if not before.relation.concrete:
                # A row that points to its task, such as an assignment, may be given to another one.
                _on(pre_save, step.model, key, partial(_related_changing, kind, find))
            _on(post_save, step.model, key, partial(_related_changed, kind, find))
            _on(pre_delete, step.model, key, partial(_related_changed, kind, find))
        if isinstance(step.relation, (ManyToManyField, ManyToManyRel)):
            _watch_many(kind, step)


def _watch_many(kind, step):
    """Watches a relation of many to many, by the signal of its own and by rows of its own model."""
    is_forward = isinstance(step.relation, ManyToManyField)
    field = step.relation if is_forward else step.relation.field
    through = field.remote_field.through
    key = f"{kind.name} {step.lookup} {field}"
    _on(m2m_changed, through, key, partial(_many_changed, kind, step, is_forward))
    if through._meta.auto_created:
        return
    owner = through._meta.get_field(field.m2m_field_name() if is_forward else field.m2m_reverse_field_name())

    def find(row):
        return _subjects_of_owners(kind, step, [getattr(row, owner.attname)])

    _on(pre_save, through, key, partial(_row_changing, kind, find))
    _on(post_save, through, key, partial(_related_changed, kind, find))
    _on(pre_delete, through, key, partial(_related_changed, kind, find))


def _on(signal, sender, key, handler):
    # Not weakly: nothing else refers to these handlers.
    uid = f"aristay_chat {key}"
    sender = apps.get_model(sender) if isinstance(sender, str) else sender
    signal.connect(handler, sender=sender, weak=False, dispatch_uid=uid)


def _user_saved(instance, raw=False, update_fields=None, **_):
    if not raw and not (update_fields and set(update_fields) <= UNTOLD):
        record(OutboxEntry.USER, [instance.pk])


def _user_deleted(instance, **_):
    record(OutboxEntry.USER, [instance.pk], deleted=True)


def _subject_saved(kind, instance, raw=False, **_):
    if not raw:
        record(kind.name, [instance.pk])


def _subject_deleted(kind, instance, **_):
    record(kind.name, [instance.pk], deleted=True)


def _related_changing(kind, find, instance, raw=False, **_):
    """Before a save, finds those that the object belonged to until now."""
    if not raw and not instance._state.adding:
        record(kind.name, find(instance))


def _row_changing(kind, find, sender, instance, raw=False, **_):
    if raw or instance._state.adding:
        return
    stored = sender._base_manager.using(router.db_for_write(sender)).filter(pk=instance.pk).first()
    if stored is not None:
        record(kind.name, find(stored))


def _related_changed(kind, find, instance, raw=False, **_):
    if not raw:
        record(kind.name, find(instance))


def _many_changed(kind, step, is_forward, instance, action, reverse, pk_set, **_):
    # A cleared relation can't be read afterwards.
    if action not in ("post_add", "post_remove", "pre_clear"):
        return
    if reverse != is_forward:
        owners = [instance.pk]
    elif pk_set is not None:
        owners = list(pk_set)
    else:
        owners = _keys(step.model, {step.relation.name: instance})
    record(kind.name, _subjects_of_owners(kind, step, owners))


def _subjects_of(kind, lookup, instance):
    return _keys(kind.model, {lookup: instance})


def _subjects_of_owners(kind, step, owners):
    if not step.lookup:
        return owners
    return _keys(kind.model, {f"{step.lookup}__in": owners})


def _keys(model, query):
    stored = model._base_manager.using(router.db_for_write(model))
    return list(stored.filter(**query).values_list("pk", flat=True).distinct())
