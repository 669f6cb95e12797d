"""Reads a reply of /metrics as prometheus_client does, a compressed one strictly.

{"path", "dialect": "text" | "openmetrics", "encoding": "identity" | "gzip"} on standard input
gives a list of {"name", "type", "help", "samples": [{"name", "labels", "value"}]} on standard
output.
"""

import gzip
import json
import sys
import zlib
from pathlib import Path

from prometheus_client import parser
from prometheus_client.openmetrics import parser as openmetrics_parser

PARSERS = {
    "text": parser.text_string_to_metric_families,
    "openmetrics": openmetrics_parser.text_string_to_metric_families,
}


def only_member(compressed):
    """The content of a gzip stream of one member with nothing behind it."""
    inflate = zlib.decompressobj(wbits=31)
    content = inflate.decompress(compressed)
    if not inflate.eof:
        raise ValueError("the member does not end")
    if inflate.unused_data or inflate.unconsumed_tail:
        raise ValueError("there is something behind the member")
    if gzip.decompress(compressed) != content:
        raise ValueError("gzip and zlib disagree")
    return content


def family(metric):
    samples = [
        {"name": sample.name, "labels": sample.labels, "value": sample.value}
        for sample in metric.samples
    ]
    return {
        "name": metric.name,
        "type": metric.type,
        "help": metric.documentation,
        "samples": samples,
    }


reply = json.load(sys.stdin.buffer)
body = Path(reply["path"]).read_bytes()
if reply["encoding"] == "gzip":
    body = only_member(body)
families = PARSERS[reply["dialect"]](body.decode("utf-8", errors="strict"))
json.dump([family(metric) for metric in families], sys.stdout)
