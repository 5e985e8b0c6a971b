"""That a group reaches all sagas is said by a scope, and no longer by having none.

Each group that has a permission on runs and no scope gets one for all sagas, so nobody's reach changes.

Safe while old code runs: it reads a scope without a saga just so, as all of them. A group to which old
code gives its first permission after this reaches all sagas there and none here, until it is given a
scope. The table is small; what has to wait for it gives up after some seconds. Then run it again.
"""

from typing import Any

from django.db import migrations, models

RIGHTS = (
    *("add_run", "view_run", "change_run", "approve_run", "reveal_run"),
    *("add_batch", "add_hold", "view_auditentry"),
)


def say_all(apps: Any, schema_editor: Any) -> None:
    groups = apps.get_model("auth", "Group").objects.using(schema_editor.connection.alias)
    rights = {
        "permissions__content_type__app_label": "sagas",
        "permissions__codename__in": RIGHTS,
    }
    scope = apps.get_model("sagas", "Scope")
    unscoped = groups.filter(saga_scopes=None, **rights).distinct()
    scope.objects.using(schema_editor.connection.alias).bulk_create(
        [scope(group=group, saga=None) for group in unscoped]
    )


def say_none(apps: Any, schema_editor: Any) -> None:
    scope = apps.get_model("sagas", "Scope")
    scope.objects.using(schema_editor.connection.alias).filter(saga=None).delete()


class Migration(migrations.Migration):
    dependencies = [("sagas", "0015_step_doubted")]

    operations = [
        migrations.RunSQL("SET LOCAL lock_timeout = '5s'", migrations.RunSQL.noop),
        migrations.AlterField(
            model_name="scope",
            name="saga",
            field=models.CharField(
                blank=True, help_text="null: all sagas", max_length=80, null=True
            ),
        ),
        migrations.AddConstraint(
            model_name="scope",
            constraint=models.UniqueConstraint(
                condition=models.Q(("saga__isnull", True)),
                fields=("group",),
                name="sagas_scope_all_once",
            ),
        ),
        migrations.RunPython(say_all, say_none),
    ]
