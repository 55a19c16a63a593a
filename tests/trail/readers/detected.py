"""Runs Sigma rules over records: prints {title: [eventIDs it fires on]}."""

import json
import sqlite3
import sys
from pathlib import Path

from sigma.backends.sqlite import sqliteBackend
from sigma.collection import SigmaCollection


def flat(value, name: str = "") -> dict[str, str]:
    """Each member by its dotted name, and what has members also as its text."""
    found = {}
    if name and value is not None:
        found[name] = value if isinstance(value, str) else json.dumps(value)
    if isinstance(value, dict):
        for key, member in value.items():
            found |= flat(member, f"{name}.{key}" if name else key)
    return found


rules, records = Path(sys.argv[1]), json.loads(Path(sys.argv[2]).read_text())["Records"]
rows = [flat(record) for record in records]
# Names of columns do not differ by case in SQLite, but those of members do.
names = list({name.lower(): name for row in rows for name in row}.values())
table = sqlite3.connect(":memory:")
table.execute(f"create table logs ({', '.join(f'`{name}` text' for name in names)})")
for row in rows:
    lower = {name.lower(): value for name, value in row.items()}
    table.execute(f"insert into logs values ({', '.join('?' * len(names))})", [lower.get(name.lower()) for name in names])
fired = {}
for rule in SigmaCollection.load_ruleset([rules]):
    (query,) = sqliteBackend().convert_rule(rule)
    query = query.replace("SELECT *", "SELECT eventID", 1)
    fired[rule.title] = [event for (event,) in table.execute(query)]
print(json.dumps(fired))
