"""An index of the runs that runs started, built while runs go on: their number in a minute is limited."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False  # as building an index beside its writers demands

    dependencies = [("sagas", "0008_run_origin")]

    operations = [
        AddIndexConcurrently(
            model_name="run",
            index=models.Index(
                condition=models.Q(("root__isnull", False)),
                fields=["root", "created_at"],
                name="sagas_run_of_root",
            ),
        ),
    ]
