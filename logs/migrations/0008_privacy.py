import django.contrib.postgres.fields
from django.db import migrations, models

from logs.storage.sql_file import RunSQLFile


class Migration(migrations.Migration):
    dependencies = [("logs", "0007_exports")]
    operations = [
        RunSQLFile("0008_privacy"),
        migrations.AddField(
            model_name="entry",
            name="masked",
            field=django.contrib.postgres.fields.ArrayField(base_field=models.TextField(), null=True, size=None),
        ),
    ]
