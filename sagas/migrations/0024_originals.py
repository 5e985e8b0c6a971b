"""What attempts said in full, apart from the record, which shows it masked.

Safe while old code runs: it knows nothing of the new table.
"""

import django.db.models.deletion
from django.db import migrations, models
from django.db.models.functions import Now

_DIRECTIONS = [("forward", "forward"), ("backward", "backward")]


class Migration(migrations.Migration):
    dependencies = [("sagas", "0023_attempts")]

    operations = [
        migrations.RunSQL("SET LOCAL lock_timeout = '5s'", migrations.RunSQL.noop),
        migrations.CreateModel(
            name="Original",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("at", models.DateTimeField(db_default=Now())),
                ("step", models.CharField(max_length=80)),
                ("direction", models.CharField(choices=_DIRECTIONS, max_length=8)),
                ("attempt", models.IntegerField()),
                ("text", models.TextField()),
                (
                    "run",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="originals",
                        to="sagas.run",
                    ),
                ),
            ],
            options={
                "ordering": ("id",),
                "indexes": [models.Index(fields=["run", "id"], name="sagas_original_of_run")],
            },
        ),
    ]
