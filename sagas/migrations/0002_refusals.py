"""The database refuses what only broken code would do: leave a terminal state, change history."""

from django.db import migrations

FINAL = """
CREATE FUNCTION sagas_run_is_final() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'run % is %, which is final; it cannot become %', OLD.id, OLD.status, NEW.status
    USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER sagas_run_terminal_is_final BEFORE UPDATE OF status ON sagas_run FOR EACH ROW
  WHEN (OLD.status IN ('succeeded', 'compensated', 'resolved') AND NEW.status <> OLD.status)
  EXECUTE FUNCTION sagas_run_is_final();
"""

NOT_FINAL = """
DROP TRIGGER sagas_run_terminal_is_final ON sagas_run;
DROP FUNCTION sagas_run_is_final();
"""

# `manage.py sagas archive` removes what it has exported, and says so for its own transaction.
APPEND_ONLY = """
CREATE FUNCTION sagas_event_is_history() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'DELETE' AND current_setting('sagas.archiving', true) = 'on' THEN
    RETURN OLD;
  END IF;
  RAISE EXCEPTION 'event % of run % is history; it cannot be changed or removed', OLD.id, OLD.run_id
    USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER sagas_event_append_only BEFORE UPDATE OR DELETE ON sagas_event FOR EACH ROW
  EXECUTE FUNCTION sagas_event_is_history();
"""

NOT_APPEND_ONLY = """
DROP TRIGGER sagas_event_append_only ON sagas_event;
DROP FUNCTION sagas_event_is_history();
"""


class Migration(migrations.Migration):
    dependencies = [("sagas", "0001_initial")]
    operations = [
        migrations.RunSQL(FINAL, NOT_FINAL),
        migrations.RunSQL(APPEND_ONLY, NOT_APPEND_ONLY),
    ]
