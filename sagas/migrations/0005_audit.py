"""The audit is a chain that only grows; and the groups of people who use the console."""

from typing import Any

from django.db import migrations

# `operate/audit.py` computes the same text to verify the chain, without asking this function.
CHAIN = """
CREATE FUNCTION sagas_audit_chain() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  last record;
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended('sagas_auditentry', 7366));
  SELECT number, hash INTO last FROM sagas_auditentry ORDER BY number DESC LIMIT 1;
  NEW.number := coalesce(last.number, 0) + 1;
  NEW.previous := coalesce(last.hash, repeat('0', 64));
  NEW.at := clock_timestamp();
  NEW.hash := encode(sha256(convert_to(jsonb_build_array(
    NEW.number, to_char(NEW.at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US'), NEW.actor,
    NEW.approver, NEW.verb, NEW.run, NEW.saga, NEW.step, NEW.subject, NEW.reason, NEW.batch,
    NEW.before, NEW.after, NEW.details, NEW.previous)::text, 'UTF8')), 'hex');
  RETURN NEW;
END $$;
CREATE TRIGGER sagas_audit_is_chained BEFORE INSERT ON sagas_auditentry FOR EACH ROW
  EXECUTE FUNCTION sagas_audit_chain();
CREATE FUNCTION sagas_audit_is_history() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'the audit is history; it cannot be changed or removed'
    USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER sagas_audit_append_only BEFORE UPDATE OR DELETE ON sagas_auditentry FOR EACH ROW
  EXECUTE FUNCTION sagas_audit_is_history();
"""
NO_CHAIN = """
DROP TRIGGER sagas_audit_is_chained ON sagas_auditentry;
DROP FUNCTION sagas_audit_chain();
DROP TRIGGER sagas_audit_append_only ON sagas_auditentry;
DROP FUNCTION sagas_audit_is_history();
"""

READ = [
    f"view_{model}"
    for model in (
        *("run", "step", "event", "signal", "worker"),
        *("hold", "auditentry", "approval", "batch", "savedview"),
    )
]
GROUPS = {
    "Saga viewers": READ,
    "Saga operators": [*READ, "add_run", "change_run", "add_hold", "change_hold", "add_batch"],
    "Saga approvers": [*READ, "approve_run"],
}


def make_groups(apps: Any, schema_editor: object) -> None:
    """Django makes permissions only after the last migration, so those needed are made here."""
    group_model = apps.get_model("auth", "Group")
    for name, codenames in GROUPS.items():
        group, _ = group_model.objects.get_or_create(name=name)
        group.permissions.add(*(_permission(apps, codename) for codename in codenames))


def _permission(apps: Any, codename: str) -> Any:
    verb, _, model = codename.partition("_")
    kinds, permissions = (
        apps.get_model("contenttypes", "ContentType"),
        apps.get_model("auth", "Permission"),
    )
    kind, _ = kinds.objects.get_or_create(app_label="sagas", model=model)
    words = {"approve": "Can consent to what another operator asked for"}
    made, _ = permissions.objects.get_or_create(
        content_type=kind,
        codename=codename,
        defaults={"name": words.get(verb) or f"Can {verb} {NAMES.get(model, model)}"},
    )
    return made


NAMES = {"auditentry": "audit entry", "savedview": "saved view"}


def remove_groups(apps: Any, schema_editor: object) -> None:
    apps.get_model("auth", "Group").objects.filter(name__in=GROUPS).delete()


class Migration(migrations.Migration):
    dependencies = [
        ("sagas", "0004_console_indexes"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
    ]
    operations = [
        migrations.RunSQL(CHAIN, NO_CHAIN),
        migrations.RunPython(make_groups, remove_groups),
    ]
