"""Indexes for the console's lists, built while runs go on."""

import django.contrib.postgres.indexes
from django.contrib.postgres.operations import AddIndexConcurrently, RemoveIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False  # as building an index beside its writers demands

    dependencies = [("sagas", "0003_operators")]

    operations = [
        AddIndexConcurrently(
            model_name="run",
            index=models.Index(
                condition=models.Q(("status", "succeeded"), _negated=True),
                fields=["status", "id", "error_group", "owner"],
                name="sagas_run_notable",
            ),
        ),
        RemoveIndexConcurrently(model_name="run", name="sagas_run_unfinished"),
        AddIndexConcurrently(
            model_name="run",
            index=models.Index(
                fields=["business_key"],
                name="sagas_run_key_prefix",
                opclasses=["varchar_pattern_ops"],
            ),
        ),
        AddIndexConcurrently(
            model_name="run",
            index=django.contrib.postgres.indexes.GinIndex(
                condition=models.Q(("tags", []), _negated=True),
                fields=["tags"],
                name="sagas_run_tags",
            ),
        ),
    ]
