"""Workers say which sagas they know.

Safe while old code runs: the column may be null, and stays so for workers of old code. The table is
small; what has to wait for it gives up after some seconds. Then run it again.
"""

import django.contrib.postgres.fields
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("sagas", "0009_run_of_root")]

    operations = [
        migrations.RunSQL("SET LOCAL lock_timeout = '5s'", migrations.RunSQL.noop),
        migrations.AddField(
            model_name="worker",
            name="sagas",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.CharField(max_length=120),
                blank=True,
                help_text="the definitions that it knows, as name/version/fingerprint",
                null=True,
                size=None,
            ),
        ),
    ]
