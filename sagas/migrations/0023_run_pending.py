"""An index of the runs that wait for their first step, built while runs go on."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False  # as building an index beside its writers demands

    dependencies = [("sagas", "0022_anchor")]

    operations = [
        AddIndexConcurrently(
            model_name="run",
            index=models.Index(
                condition=models.Q(status="pending"), fields=["saga"], name="sagas_run_pending"
            ),
        ),
    ]
