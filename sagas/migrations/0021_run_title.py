"""Runs have a title.

Safe while old code runs: the column has a default in the database, and who does not know it starts
runs without a title.
"""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("sagas", "0020_login_attempts")]

    operations = [
        migrations.RunSQL("SET LOCAL lock_timeout = '5s'", migrations.RunSQL.noop),
        migrations.AddField(
            model_name="run",
            name="title",
            field=models.CharField(
                blank=True,
                db_default="",
                default="",
                help_text="what its saga makes of its payload for people, without what is redacted",
                max_length=100,
            ),
        ),
    ]
