"""Full text: the words of an entry, their index, and what keeps that quick."""

from django.db import migrations

from logs.storage.sql_file import RunSQLFile


class Migration(migrations.Migration):
    dependencies = [("logs", "0003_verification")]
    operations = [RunSQLFile("0004_search")]
