"""Values at the end of a path of attributes, and the relations that such a path goes along.

A path such as "property.managers" goes from a task over its property to all of that property's managers.
"""

from dataclasses import dataclass

from django.core.exceptions import FieldDoesNotExist, ObjectDoesNotExist
from django.db.models import Manager, Model, QuerySet
from django.utils.module_loading import import_string


@dataclass(frozen=True)
class Step:
    """A model along a path, and what is followed from it."""

    #: The query from the path's first model to this one; empty for the first model itself.
    lookup: str
    model: type
    #: The relation that is followed; None for a plain field, a property or a method.
    relation: object


def values_of(spec, obj):
    """Returns all values of `spec`: a path, a list of them, a function, or the dotted name of a function."""
    specs = spec if isinstance(spec, (list, tuple)) else [spec]
    return [value for one in specs for value in _values(one, obj)]


def value_of(spec, obj):
    """Returns the first value of `spec`, or None."""
    return next(iter(values_of(spec, obj)), None)


def is_path(spec, model):
    """Whether `spec` is a path from `model`, not the dotted name of a function."""
    return isinstance(spec, str) and (field_of(model, spec.split(".")[0]) or hasattr(model, spec.split(".")[0]))


def function_of(spec):
    """Returns the function that `spec` is or names.

    Raises ImportError if there is none.
    """
    return spec if callable(spec) else import_string(spec)


def field_of(model, name):
    """Returns the field, or the relation of another model, that the attribute `name` stands for, or None."""
    try:
        field = model._meta.get_field(name)
        if field.concrete or not field.auto_created:
            return field
    except FieldDoesNotExist:
        pass
    for relation in model._meta.related_objects:
        if relation.get_accessor_name() == name:
            return relation
    return None


def steps(model, path):
    """Yields each model along `path` with the relation that is followed from it.

    Raises AttributeError, with a sentence, at a name that a model hasn't.
    """
    lookup = ""
    for name in path.split("."):
        field = field_of(model, name)
        if field is None and not hasattr(model, name):
            raise AttributeError(f"{model._meta.label} has no {name!r}")
        if field is None or not field.is_relation or field.related_model is None:
            # What follows a property or a method can't be known before it is called.
            yield Step(lookup, model, None)
            return
        yield Step(lookup, model, field)
        lookup = f"{lookup}__{field.name}" if lookup else field.name
        model = field.related_model


def _values(spec, obj):
    # A lazy object, such as request.user, tells only its __class__ truly.
    if callable(spec) or not is_path(spec, obj.__class__):
        return _flat(function_of(spec)(obj))
    found = [obj]
    for name in spec.split("."):
        found = [value for one in found for value in _attribute(one, name)]
    return found


def _attribute(obj, name):
    try:
        value = getattr(obj, name)
    except ObjectDoesNotExist:
        return []
    if callable(value) and not isinstance(value, (Manager, Model)):
        value = value()
    return _flat(value)


def _flat(value):
    if value is None:
        return []
    if isinstance(value, Manager):
        return list(value.all())
    if isinstance(value, (QuerySet, list, tuple, set, frozenset)):
        return list(value)
    return [value]
