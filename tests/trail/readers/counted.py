"""Counts with DuckDB what lies in a delivered tree: prints {eventName: [events, distinct ids]}."""

import json
import sys

import duckdb

COUNT = """
select record->>'eventName' as name, count(*), count(distinct record->>'eventID')
from (select unnest("Records") as record
      from read_json($files, columns = {'Records': 'JSON[]'}, maximum_object_size = 67108864))
group by name
"""

rows = duckdb.execute(COUNT, {"files": f"{sys.argv[1]}/AWSLogs/*/CloudTrail/*/*/*/*/*.json.gz"}).fetchall()
print(json.dumps({name: [events, distinct] for name, events, distinct in rows}))
