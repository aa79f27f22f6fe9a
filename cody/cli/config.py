"""`cody config`: every setting, its value and where it comes from."""

import os
import re
import sys
from typing import Any

import click
from pydantic import SecretStr

from cody.cli.client import DEFAULT_URL
from cody.cli.table import Cell, print_table
from cody.settings import Settings, examine

_PASSWORD = re.compile(r"(://[^/@:]*:).*(@)|([?&](?:password|ssl_password)=)[^&]*", re.IGNORECASE)


@click.command("config", epilog="Exit code: 0, or 2 when a setting is missing or wrong.")
def command() -> None:
    """Print every setting with its value, its source and what it is for; secrets are hidden.

    cody dev supplies what is not set; cody api and cody worker need REDIS_URL, TEMPORAL_ADDRESS and DATABASE_URL.
    """
    settings, faults = examine()
    rows = [
        (
            name.upper(),
            Cell(faults[name], "red") if name in faults else shown(getattr(settings, name)),
            "–" if name in faults and _source(name) == "default" else _source(name),
            Cell(field.description or "", dim=True),
        )
        for name, field in Settings.model_fields.items()
    ]
    url = shown(os.environ.get("CODY_URL", DEFAULT_URL))
    rows.append(("CODY_URL", url, _source("cody_url"), Cell("the service that cody run and the like call", dim=True)))
    print_table(("SETTING", "VALUE", "SOURCE", "WHAT IT IS"), rows)
    if faults:
        click.echo("cody dev supplies the parts by itself; cody api and cody worker need all of them", err=True)
        sys.exit(2)


def shown(value: Any) -> str:
    """A setting's value for a person, without passwords."""
    match value:
        case None:
            return "–"
        case SecretStr():
            return "(hidden)"
        case tuple():
            return ":".join(map(str, value)) or "–"  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
        case _:
            return _PASSWORD.sub(lambda form: f"{form[1] or form[3]}***{form[2] or ''}", str(value))


def _source(name: str) -> str:
    return "environment" if any(variable.lower() == name for variable in os.environ) else "default"
