from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import path
from rest_framework_simplejwt.views import TokenObtainPairView
from tasks.models import Task

from .samples import samples


@login_required(login_url="/sign-in/")
def task_list(request):
    return render(request, "tasks.html", {"tasks": Task.objects.order_by("pk")})


@login_required(login_url="/sign-in/")
def task_page(request, pk):
    return render(request, "task.html", {"task": get_object_or_404(Task, pk=pk)})


urlpatterns = [
    path("tasks/", task_list),
    path("tasks/<int:pk>/", task_page, name="task"),
    path("api/token/", TokenObtainPairView.as_view()),
    # The old chat's page.
    path("api/chat/", lambda request: HttpResponse("the old page")),
]
exec(samples("python")[1])
