"""Makes DBOS's tables in the database that DATABASE_URL names."""

import os

from dbos import run_dbos_database_migrations

if __name__ == "__main__":
    run_dbos_database_migrations(system_database_url=os.environ["DATABASE_URL"])
