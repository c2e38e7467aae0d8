"""Converts files and renders from them through the public client: client_data.py ADDRESS KEY."""

import base64
import pathlib
import sys

from pulp_engine import PulpEngineClient, PulpEngineError

ADDRESS, KEY = sys.argv[1:]

DEFINITION = {"key": "prices", "name": "Prices", "html": "<ul>{{#each rows}}<li>{{item}}: {{price}}</li>{{/each}}</ul>"}
CSV = {"format": "csv", "content": "item,price\nBolt,19.99\n", "types": "infer"}
WORKBOOK = base64.b64encode((pathlib.Path(__file__).parent / "prices.xlsx").read_bytes()).decode()
XLSX = {"format": "xlsx", "content": WORKBOOK, "encoding": "base64", "sheet": "Prices"}

with PulpEngineClient(base_url=ADDRESS, api_key=KEY) as client:
    client.templates.create(DEFINITION)

    told = client.data.convert(CSV)
    assert told == {"data": {"rows": [{"item": "Bolt", "price": 19.99}]}, "stats": {"rows": 1, "warnings": []}}, told
    told = client.data.convert(XLSX)
    assert told["data"]["rows"][0] == {"item": "Bolt M4", "price": 59.97, "since": "2026-11-21"}, told
    assert told["data"]["rows"][1] == {"item": "Nut M4", "price": 12, "since": None}, told
    told = client.data.convert({"format": "xml", "content": "<order id='7'><line>Bolt</line></order>", "arrays": ["line"]})
    assert told["data"] == {"order": {"@id": "7", "line": ["Bolt"]}}, told

    page = client.render.html("prices", data_input=XLSX)
    page = getattr(page, "data", page)
    assert "Bolt M4: 59.97" in page and "Nut M4: 12" in page, page

    try:
        client.data.convert({"format": "csv", "content": "a,b\n1,2,3\n"})
        raise AssertionError("a refusal was expected")
    except PulpEngineError as error:
        assert (error.status, error.code) == (422, "data_input_invalid"), (error.status, error.code, error)

print("the client is content")
