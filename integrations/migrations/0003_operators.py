"""The groups of people who use the console see what comes in, too, and operators have it handled again.

Safe while old code runs: rows of groups and permissions only. A group that somebody has removed or
renamed stays so.
"""

from typing import Any

from django.db import migrations

WORDS = {
    ("integrations", "view_webhookevent"): "Can view webhook event",
    ("integrations", "view_partnerobject"): "Can view partner object",
    ("integrations_oauth", "view_token"): "Can view token",
    ("integrations", "replay_webhookevent"): "Can have webhook events handled again",
}
READ = [right for right in WORDS if right[1].startswith("view_")]
RIGHTS = {"Saga viewers": READ, "Saga operators": [*WORDS], "Saga approvers": READ}


def give(apps: Any, schema_editor: object) -> None:
    """Django makes permissions only after the last migration, so those needed are made here."""
    for group in apps.get_model("auth", "Group").objects.filter(name__in=RIGHTS):
        group.permissions.add(*(_permission(apps, *right) for right in RIGHTS[group.name]))


def _permission(apps: Any, app: str, codename: str) -> Any:
    kinds = apps.get_model("contenttypes", "ContentType")
    kind, _ = kinds.objects.get_or_create(app_label=app, model=codename.partition("_")[2])
    made, _ = apps.get_model("auth", "Permission").objects.get_or_create(
        content_type=kind, codename=codename, defaults={"name": WORDS[app, codename]}
    )
    return made


def take(apps: Any, schema_editor: object) -> None:
    """Take them from the groups again; the permissions themselves are Django's."""
    permissions = apps.get_model("auth", "Permission").objects
    for group in apps.get_model("auth", "Group").objects.filter(name__in=RIGHTS):
        for app, codename in RIGHTS[group.name]:
            given = permissions.filter(content_type__app_label=app, codename=codename)
            group.permissions.remove(*given)


class Migration(migrations.Migration):
    dependencies = [
        ("integrations", "0002_webhooks"),
        ("sagas", "0005_audit"),  # makes the groups
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
    ]
    operations = [migrations.RunPython(give, take)]
