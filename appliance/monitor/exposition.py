"""Samples in the text format of Prometheus, version 0.0.4.

prometheus_client writes it too, and brings an HTTP client and two servers: three megabytes and half the start of a
program that does nothing else. A test compares what both write.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable

from appliance.monitor.metrics import Metric, Sample

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def render(metrics: Iterable[Metric], samples: Iterable[Sample]) -> bytes:
    """Every metric of `metrics` with the samples that it has, in their order; one without samples is left out."""
    by_metric = defaultdict[str, list[Sample]](list)
    for sample in samples:
        by_metric[sample.metric].append(sample)
    return "".join(_lines(metric, by_metric[metric.name]) for metric in metrics if metric.name in by_metric).encode()


def _lines(metric: Metric, samples: Iterable[Sample]) -> str:
    name = metric.full_name
    # A sample with other labels was written down by another version: its value is not known here.
    known = (it for it in samples if len(it.labels) == len(metric.labels))
    values = "".join(f"{name}{_labels(metric, it)} {_number(it.value)}\n" for it in known)
    return f"# HELP {name} {_escaped(metric.help)}\n# TYPE {name} {metric.kind}\n{values}" if values else ""


def _labels(metric: Metric, sample: Sample) -> str:
    pairs = sorted(zip(metric.labels, sample.labels, strict=True))
    written = ",".join(f'{label}="{_escaped(value, quote=True)}"' for label, value in pairs)
    return f"{{{written}}}" if written else ""


def _escaped(text: str, *, quote: bool = False) -> str:
    text = text.replace("\\", r"\\").replace("\n", r"\n")
    return text.replace('"', r"\"") if quote else text


def _number(value: float) -> str:
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return "NaN" if math.isnan(value) else repr(float(value))
