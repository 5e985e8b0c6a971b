"""The audit's trigger finds its table whatever a session's search path and temporary tables.

Safe while old code runs, and locks no table. What has to wait gives up after some seconds. Then run
it again.
"""

from django.db import migrations

# The only function of the record that names a table. By the schema that has it now, and temporary
# tables last: without their mention they would come first.
PINNED = """
DO $$ BEGIN
  EXECUTE format('ALTER FUNCTION %s SET search_path = %s, pg_temp',
    'sagas_audit_chain()'::regprocedure,
    (SELECT relnamespace::regnamespace FROM pg_class WHERE oid = 'sagas_auditentry'::regclass));
END $$;
"""
UNPINNED = "ALTER FUNCTION sagas_audit_chain() RESET search_path"


class Migration(migrations.Migration):
    dependencies = [("sagas", "0011_signal_address")]

    operations = [
        migrations.RunSQL("SET LOCAL lock_timeout = '5s'", migrations.RunSQL.noop),
        migrations.RunSQL(PINNED, UNPINNED),
    ]
