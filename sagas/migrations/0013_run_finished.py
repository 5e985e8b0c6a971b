"""An index of the runs that are over by when they were, built while runs go on."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False  # as building an index beside its writers demands

    dependencies = [("sagas", "0012_audit_search_path")]

    operations = [
        AddIndexConcurrently(
            model_name="run",
            index=models.Index(
                condition=models.Q(("finished_at__isnull", False)),
                fields=["finished_at", "id"],
                name="sagas_run_finished",
            ),
        ),
    ]
