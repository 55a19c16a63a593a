#!/usr/bin/env python3
"""Writes s3.json beside itself: botocore's S3 model, as far as it tells operations apart.

One line per operation: its method and URI, and the query keys and headers it may carry, each with
whether the model requires it. Run with any botocore: python3 tests/model/extract.py
"""

import json
import pathlib

import botocore
import botocore.loaders


def operation(name, model):
    shapes = model["shapes"]
    declared = model["operations"][name]
    members = shapes[declared["input"]["shape"]] if "input" in declared else {"members": {}}
    required = set(members.get("required", []))
    located = {"query": {}, "headers": {}}
    for member, reference in members["members"].items():
        place = {"querystring": "query", "header": "headers", "headers": "headers"}.get(reference.get("location"))
        if place:
            located[place][reference["locationName"].lower() if place == "headers" else reference["locationName"]] = (
                member in required
            )
    payload = members.get("payload")
    body = None
    if payload:
        reference = members["members"][payload]
        kind = shapes[reference["shape"]]["type"]
        body = reference.get("locationName") if kind == "structure" else kind
    elif "locationName" in declared.get("input", {}):
        body = declared["input"]["locationName"]
    return {
        "name": name,
        "method": declared["http"]["method"],
        "uri": declared["http"]["requestUri"],
        "query": located["query"],
        "headers": located["headers"],
        "body": body,
    }


def main():
    model = botocore.loaders.Loader().load_service_model("s3", "service-2", api_version="2006-03-01")
    operations = [operation(name, model) for name in sorted(model["operations"])]
    lines = ",\n".join(json.dumps(each, separators=(",", ":")) for each in operations)
    out = pathlib.Path(__file__).with_name("s3.json")
    out.write_text(f'{{"botocore":"{botocore.__version__}","operations":[\n{lines}\n]}}\n')


if __name__ == "__main__":
    main()
