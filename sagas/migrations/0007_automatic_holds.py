"""Holds that an automatism places beside people's, and that let one run through.

Safe while old code runs: each new column has a default in the database or may be null. Old code takes
a run that is let through for held. The table is small; what has to wait for it gives up after some
seconds. Then run it again.
"""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("sagas", "0006_step_waited")]

    operations = [
        migrations.RunSQL("SET LOCAL lock_timeout = '5s'", migrations.RunSQL.noop),
        migrations.RemoveConstraint(model_name="hold", name="sagas_hold_once"),
        migrations.AddField(
            model_name="hold",
            name="source",
            field=models.CharField(
                blank=True,
                db_default="",
                default="",
                help_text="the automatism that placed it; empty: a person",
                max_length=40,
            ),
        ),
        migrations.AddField(
            model_name="hold",
            name="probe",
            field=models.UUIDField(
                blank=True, help_text="the run that is let through, to try the partner", null=True
            ),
        ),
        migrations.AddField(
            model_name="hold",
            name="probed_at",
            field=models.DateTimeField(blank=True, help_text="since when it is", null=True),
        ),
        migrations.AddConstraint(
            model_name="hold",
            constraint=models.UniqueConstraint(
                condition=models.Q(("lifted_at__isnull", True)),
                fields=("kind", "target", "source"),
                name="sagas_hold_once",
            ),
        ),
        migrations.AddConstraint(
            model_name="hold",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("kind", "partner"),
                    models.Q(("probe__isnull", True), ("source", "")),
                    _connector="OR",
                ),
                name="sagas_hold_automatic",
            ),
        ),
        migrations.AddIndex(
            model_name="hold",
            index=models.Index(
                condition=models.Q(("source", ""), _negated=True),
                fields=["source", "target", "id"],
                name="sagas_hold_of_source",
            ),
        ),
    ]
