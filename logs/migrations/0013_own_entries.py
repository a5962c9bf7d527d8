from django.db import migrations

from logs.storage.sql_file import RunSQLFile


class Migration(migrations.Migration):
    dependencies = [("logs", "0012_erasure")]
    operations = [RunSQLFile("0013_own_entries")]
