"""What started a run, and its place in a chain of runs that start runs.

Safe while old code runs: each new column has a default in the database or may be null. What has to wait
for the table gives up after some seconds. Then run it again.
"""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("sagas", "0007_automatic_holds")]

    operations = [
        migrations.RunSQL("SET LOCAL lock_timeout = '5s'", migrations.RunSQL.noop),
        migrations.AddField(
            model_name="run",
            name="origin_kind",
            field=models.CharField(
                blank=True,
                db_default="",
                default="",
                help_text="what started it: a request, a command or a run; empty: other code",
                max_length=10,
            ),
        ),
        migrations.AddField(
            model_name="run",
            name="origin_id",
            field=models.CharField(
                blank=True, db_default="", default="", help_text="which of them", max_length=200
            ),
        ),
        migrations.AddField(
            model_name="run",
            name="root",
            field=models.UUIDField(
                blank=True, help_text="the first run of the chain that led to it", null=True
            ),
        ),
        migrations.AddField(
            model_name="run",
            name="depth",
            field=models.IntegerField(
                db_default=0, default=0, help_text="how many runs of that chain came before it"
            ),
        ),
    ]
