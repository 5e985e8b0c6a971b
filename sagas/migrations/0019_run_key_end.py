"""An index of what stands after the last colon of a run's key, built while runs go on."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models
from django.db.models.functions import Collate


class Migration(migrations.Migration):
    atomic = False  # as building an index beside its writers demands

    dependencies = [("sagas", "0018_api_tokens")]

    operations = [
        AddIndexConcurrently(
            model_name="run",
            index=models.Index(
                Collate(
                    models.Func(
                        "business_key",
                        output_field=models.CharField(),
                        template="lower(substring(%(expressions)s from '[^:]*$'))",
                    ),
                    "C",
                ),
                name="sagas_run_key_end",
            ),
        ),
    ]
