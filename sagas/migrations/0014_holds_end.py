"""Holds that end by themselves, at a moment and a pace.

Safe while old code runs: the columns may be null. Old code never lifts such a hold by itself; a worker
with this code does. The table is small; what has to wait for it gives up after some seconds. Then run
it again.
"""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("sagas", "0013_run_finished")]

    operations = [
        migrations.RunSQL("SET LOCAL lock_timeout = '5s'", migrations.RunSQL.noop),
        migrations.AddField(
            model_name="hold",
            name="ends_at",
            field=models.DateTimeField(
                blank=True,
                help_text="when it is lifted by itself; null: somebody has to",
                null=True,
            ),
        ),
        migrations.AddField(
            model_name="hold",
            name="per_second",
            field=models.FloatField(
                blank=True,
                help_text="runs that then go on in a second; null: the setting's",
                null=True,
            ),
        ),
        migrations.AddIndex(
            model_name="hold",
            index=models.Index(
                condition=models.Q(("ends_at__isnull", False), ("lifted_at__isnull", True)),
                fields=["ends_at"],
                name="sagas_hold_ends",
            ),
        ),
    ]
