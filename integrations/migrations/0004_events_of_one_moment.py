"""What is known of a partner's object says what its changes of one moment start from.

Safe while old code runs: columns that may be empty. What has to wait for a lock gives up after some
seconds. Then run it again.
"""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("integrations", "0003_operators")]

    operations = [
        migrations.RunSQL("SET LOCAL lock_timeout = '5s'", migrations.RunSQL.noop),
        migrations.AddField(
            model_name="partnerobject",
            name="before",
            field=models.JSONField(
                blank=True, help_text="its state before all that is known of that moment", null=True
            ),
        ),
        migrations.AddField(
            model_name="partnerobject",
            name="asked_by",
            field=models.CharField(
                blank=True,
                db_default="",
                help_text="the event that tells too little: the source is asked for the object",
                max_length=200,
            ),
        ),
    ]
