from django.db import migrations

from logs.storage.sql_file import RunSQLFile


class Migration(migrations.Migration):
    dependencies = [("logs", "0009_export_restriction"), ("logs", "0009_masking")]
    operations = [RunSQLFile("0012_own_entries")]
