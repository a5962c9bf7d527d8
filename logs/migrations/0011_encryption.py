import django.contrib.postgres.fields
from django.db import migrations, models

import logs.models.catalogue
from logs.storage.sql_file import RunSQLFile


class Migration(migrations.Migration):
    dependencies = [("logs", "0010_masking")]
    operations = [
        RunSQLFile("0011_encryption"),
        migrations.AddField(
            model_name="logsettings",
            name="encrypted_fields",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.CharField(choices=[("before", "before"), ("after", "after")], max_length=8),
                blank=True,
                default=logs.models.catalogue.all_encrypted_fields,
                help_text="Encrypted as a whole in entries to come: before, after.",
                size=None,
            ),
        ),
        migrations.AddField(
            model_name="logsettings",
            name="encrypted_metadata_keys",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.CharField(max_length=128),
                blank=True,
                default=list,
                help_text="Top-level keys of the metadata whose values are encrypted in entries to come, separated by commas. They can't be searched then.",
                size=100,
            ),
        ),
        migrations.AddField(
            model_name="logsettings",
            name="subject_key",
            field=models.CharField(
                blank=True,
                default="",
                help_text="Top-level key of the metadata that names the data subject, where it is not the user: their key encrypts the entry.",
                max_length=128,
            ),
        ),
        migrations.AddField(
            model_name="logsettings",
            name="pseudonymises_users",
            field=models.BooleanField(default=False, help_text="Entries to come hold a pseudonym in place of user_id."),
        ),
    ]
