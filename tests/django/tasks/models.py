from django.conf import settings
from django.db import models
from django.urls import reverse


class Task(models.Model):
    title = models.CharField(max_length=300)
    property = models.ForeignKey("properties.Property", models.CASCADE, null=True, related_name="tasks")
    assignees = models.ManyToManyField(settings.AUTH_USER_MODEL, blank=True)
    helpers = models.ManyToManyField(settings.AUTH_USER_MODEL, through="Help", related_name="+")

    def get_absolute_url(self):
        return reverse("task", args=[self.pk])


class Help(models.Model):
    """A user who helps with a task: a relation with a model of its own."""

    task = models.ForeignKey(Task, models.CASCADE, related_name="help_rows")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE)
