"""Anchors: signed heads of the audit and the events; and none of the three can be truncated.

Safe while old code runs: it knows nothing of the new table, and truncates nothing. What has to wait
for a table gives up after some seconds. Then run it again.
"""

from django.db import migrations, models

# Django's tests empty every table between two of them, and say so for their session; see
# ``SagasConfig``. Whoever could say so elsewhere must own the table to truncate it, and could
# remove the trigger as well.
REFUSALS = """
CREATE FUNCTION sagas_refuses_truncate() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF current_setting('sagas.emptying', true) = 'on' THEN
    RETURN NULL;
  END IF;
  RAISE EXCEPTION '% is history; it cannot be truncated', TG_TABLE_NAME
    USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER sagas_audit_no_truncate BEFORE TRUNCATE ON sagas_auditentry
  EXECUTE FUNCTION sagas_refuses_truncate();
CREATE TRIGGER sagas_event_no_truncate BEFORE TRUNCATE ON sagas_event
  EXECUTE FUNCTION sagas_refuses_truncate();
CREATE TRIGGER sagas_anchor_no_truncate BEFORE TRUNCATE ON sagas_anchor
  EXECUTE FUNCTION sagas_refuses_truncate();
CREATE TRIGGER sagas_anchor_append_only BEFORE UPDATE OR DELETE ON sagas_anchor FOR EACH ROW
  EXECUTE FUNCTION sagas_audit_is_history();
"""
NO_REFUSALS = """
DROP TRIGGER sagas_anchor_append_only ON sagas_anchor;
DROP TRIGGER sagas_anchor_no_truncate ON sagas_anchor;
DROP TRIGGER sagas_event_no_truncate ON sagas_event;
DROP TRIGGER sagas_audit_no_truncate ON sagas_auditentry;
DROP FUNCTION sagas_refuses_truncate();
"""


class Migration(migrations.Migration):
    dependencies = [("sagas", "0021_run_title")]

    operations = [
        migrations.RunSQL("SET LOCAL lock_timeout = '5s'", migrations.RunSQL.noop),
        migrations.CreateModel(
            name="Anchor",
            fields=[
                ("number", models.BigIntegerField(primary_key=True, serialize=False)),
                ("at", models.DateTimeField()),
                ("line", models.TextField(help_text="as it was exported")),
            ],
            options={"ordering": ("-number",)},
        ),
        migrations.RunSQL(REFUSALS, NO_REFUSALS),
    ]
