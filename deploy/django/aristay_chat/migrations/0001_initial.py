from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True
    dependencies = []

    operations = [
        migrations.CreateModel(
            name="OutboxEntry",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("kind", models.CharField(max_length=10)),
                ("object_id", models.BigIntegerField()),
                ("deleted", models.BooleanField(default=False)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("refused_at", models.DateTimeField(blank=True, null=True)),
                ("error", models.CharField(blank=True, max_length=500)),
            ],
            options={
                "verbose_name_plural": "outbox entries",
                "indexes": [
                    models.Index(fields=["kind", "object_id"], name="aristay_chat_outbox_object"),
                    models.Index(fields=["refused_at", "id"], name="aristay_chat_outbox_order"),
                ],
            },
        ),
        migrations.CreateModel(
            name="SenderLease",
            fields=[
                ("id", models.PositiveSmallIntegerField(primary_key=True, serialize=False)),
                ("holder", models.CharField(max_length=64)),
                ("until", models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name="SubjectRoom",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("kind", models.CharField(max_length=10)),
                ("object_id", models.BigIntegerField()),
                ("room_id", models.UUIDField(unique=True)),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=["kind", "object_id"], name="aristay_chat_one_room"),
                ],
            },
        ),
        migrations.CreateModel(
            name="ReceivedEvent",
            fields=[
                ("webhook_id", models.CharField(max_length=255, primary_key=True, serialize=False)),
                ("received_at", models.DateTimeField(auto_now_add=True, db_index=True)),
            ],
        ),
    ]
