from django.conf import settings
from django.db import models


class Property(models.Model):
    name = models.CharField(max_length=300)
    managers = models.ManyToManyField(settings.AUTH_USER_MODEL, blank=True)

    def __str__(self):
        return self.name
