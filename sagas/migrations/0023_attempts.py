"""What counted logins counts other attempts too; its table stays, so old code runs on."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("sagas", "0022_anchor")]

    operations = [
        migrations.RunSQL("SET LOCAL lock_timeout = '5s'", migrations.RunSQL.noop),
        migrations.AlterModelTable("LoginAttempts", "sagas_loginattempts"),
        migrations.RenameModel("LoginAttempts", "Attempts"),
        migrations.AlterModelOptions("Attempts", {"verbose_name_plural": "attempts"}),
    ]
