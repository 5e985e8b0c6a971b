"""How often a password was tried, by name, address or browser.

Safe while old code runs: it knows nothing of the new table.
"""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("sagas", "0019_run_key_end")]

    operations = [
        migrations.RunSQL("SET LOCAL lock_timeout = '5s'", migrations.RunSQL.noop),
        migrations.CreateModel(
            name="LoginAttempts",
            fields=[
                ("key", models.CharField(max_length=64, primary_key=True, serialize=False)),
                ("attempts", models.IntegerField()),
                ("since", models.DateTimeField(help_text="the first of them")),
            ],
            options={
                "verbose_name_plural": "login attempts",
                "indexes": [models.Index(fields=["since"], name="sagas_login_since")],
            },
        ),
    ]
