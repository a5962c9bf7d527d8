import django.contrib.postgres.fields
from django.db import migrations, models

import accounts.models.api_key


class Migration(migrations.Migration):
    dependencies = [("accounts", "0001_accounts")]
    operations = [
        migrations.AlterField(
            model_name="apikey",
            name="scopes",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.CharField(
                    choices=[("logs:write", "logs:write"), ("logs:read", "logs:read"), ("logs:decrypt", "logs:decrypt")], max_length=32
                ),
                default=accounts.models.api_key.default_scopes,
                size=None,
            ),
        ),
    ]
