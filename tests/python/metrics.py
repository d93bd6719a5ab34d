"""Reads metrics as Prometheus' own client library for Python does, and prints every sample as a line of JSON."""

import json
import sys

from prometheus_client.parser import text_string_to_metric_families

for family in text_string_to_metric_families(sys.stdin.read()):
    if not family.documentation or family.type not in ("counter", "gauge", "histogram"):
        sys.exit(f"{family.name} is a {family.type} and documented as '{family.documentation}'")
    for sample in family.samples:
        print(json.dumps([sample.name, sample.labels, sample.value]))
