"""A step remembers that it was in doubt, though a verify has found no effect since.

Safe while old code runs: the column has a default in the database, and who does not know it undoes no
more than before.
"""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("sagas", "0014_holds_end")]

    operations = [
        migrations.RunSQL("SET LOCAL lock_timeout = '5s'", migrations.RunSQL.noop),
        migrations.AddField(
            model_name="step",
            name="doubted",
            field=models.BooleanField(
                db_default=False,
                default=False,
                help_text="so it was, until a verify found none",
            ),
        ),
    ]
