"""Requests for consent to what is about no single run: holds and batches.

Safe while old code runs: it makes none of these, and what it makes is as before. It cannot list them,
so set rules for holds and batches only once it is gone. The table is small; what has to wait for it
gives up after some seconds. Then run it again.
"""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("sagas", "0016_all_sagas")]

    operations = [
        migrations.RunSQL("SET LOCAL lock_timeout = '5s'", migrations.RunSQL.noop),
        migrations.AlterField(
            model_name="approval",
            name="run",
            field=models.UUIDField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="approval",
            name="subject",
            field=models.CharField(
                blank=True,
                db_default="",
                default="",
                help_text="what it is about, if no run",
                max_length=220,
            ),
        ),
        migrations.AlterField(
            model_name="approval",
            name="saga",
            field=models.CharField(blank=True, help_text="empty: several", max_length=80),
        ),
        migrations.AddConstraint(
            model_name="approval",
            constraint=models.UniqueConstraint(
                condition=models.Q(("run__isnull", True), ("status", "open")),
                fields=("subject", "verb"),
                name="sagas_approval_of_subject",
            ),
        ),
    ]
