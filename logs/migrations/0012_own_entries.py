from django.db import migrations

from logs.storage.sql_file import RunSQLFile


class Migration(migrations.Migration):
    dependencies = [("logs", "0011_erasure")]
    operations = [RunSQLFile("0012_own_entries")]
