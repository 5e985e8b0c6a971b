"""Signals that are addressed to a saga, and that expire.

Safe while old code runs: the columns have a default in the database or may be null, and a longer
text needs no rewrite. Old code takes a signal whatever saga it is addressed to. What has to wait for
the table gives up after some seconds. Then run it again.
"""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("sagas", "0010_worker_sagas")]

    operations = [
        migrations.RunSQL("SET LOCAL lock_timeout = '5s'", migrations.RunSQL.noop),
        migrations.AddField(
            model_name="signal",
            name="saga",
            field=models.CharField(
                blank=True,
                db_default="",
                default="",
                help_text="empty: of any saga",
                max_length=80,
            ),
        ),
        migrations.AddField(
            model_name="signal",
            name="expires_at",
            field=models.DateTimeField(
                blank=True,
                help_text="no step takes it after that; empty: the setting says",
                null=True,
            ),
        ),
        migrations.AlterField(
            model_name="signal",
            name="correlation",
            field=models.CharField(help_text="a key, or the id of a run", max_length=200),
        ),
        migrations.AlterField(
            model_name="signal",
            name="deduplication_id",
            field=models.CharField(blank=True, max_length=300, null=True),
        ),
    ]
