"""Indexes for the console's lists, built while runs go on."""

import django.contrib.postgres.indexes
from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False  # as building an index beside its writers demands

    dependencies = [("sagas", "0003_operators")]

    operations = [
        AddIndexConcurrently(
            model_name="run",
            index=models.Index(fields=["saga", "id"], name="sagas_run_of_saga"),
        ),
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
            index=models.Index(
                condition=models.Q(("error_group", ""), _negated=True),
                fields=["error_group", "id"],
                name="sagas_run_error_group",
            ),
        ),
        AddIndexConcurrently(
            model_name="run",
            index=models.Index(
                condition=models.Q(("owner", ""), _negated=True),
                fields=["owner", "id"],
                name="sagas_run_owner",
            ),
        ),
        AddIndexConcurrently(
            model_name="run",
            index=models.Index(
                condition=models.Q(("status__in", ["compensated", "resolved"])),
                fields=["status", "id"],
                name="sagas_run_undone",
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
