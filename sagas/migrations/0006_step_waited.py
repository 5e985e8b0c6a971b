"""Time in which a step could not be tried counts towards no budget.

Safe while old code runs, as 0003 is: the column has a default in the database.
"""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("sagas", "0005_audit")]

    operations = [
        migrations.RunSQL("SET LOCAL lock_timeout = '5s'", migrations.RunSQL.noop),
        migrations.AddField(
            model_name="step",
            name="waited",
            field=models.FloatField(
                db_default=0.0, default=0.0, help_text="seconds in which no try could be made"
            ),
        ),
    ]
