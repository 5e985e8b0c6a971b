"""The database refuses what only broken code would do: move a run out of a terminal state."""

from django.db import migrations

CREATE = """
CREATE FUNCTION sagas_run_is_final() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'run % is %, which is final; it cannot become %', OLD.id, OLD.status, NEW.status
    USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER sagas_run_terminal_is_final BEFORE UPDATE OF status ON sagas_run FOR EACH ROW
  WHEN (OLD.status IN ('succeeded', 'compensated', 'resolved') AND NEW.status <> OLD.status)
  EXECUTE FUNCTION sagas_run_is_final();
"""

DROP = """
DROP TRIGGER sagas_run_terminal_is_final ON sagas_run;
DROP FUNCTION sagas_run_is_final();
"""


class Migration(migrations.Migration):
    dependencies = [("sagas", "0001_initial")]
    operations = [migrations.RunSQL(CREATE, DROP)]
