from django.db import migrations

from logs.storage.sql_file import RunSQLFile


class Migration(migrations.Migration):

    dependencies = [
        ('logs', '0004_search'),
    ]

    operations = [
        RunSQLFile('0005_statistics'),
    ]
