from django.db import migrations

from logs.storage.sql_file import RunSQLFile


class Migration(migrations.Migration):

    dependencies = [
        ('logs', '0001_log'),
    ]

    operations = [
        RunSQLFile('0002_integrity'),
    ]
