"""The text that Prometheus reads: what its own library reads from it is what was measured."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector, CollectorRegistry

from appliance.monitor.exposition import render
from appliance.monitor.metrics import METRICS, Metric, Sample

COPY = Metric("copies", "Copies\\of \n this", ("peer", "backup"))
ALONE = Metric("alone", "no labels")
VALUES = st.floats() | st.integers(-(10**12), 10**12).map(float)
LABELS = st.text(st.characters(codec="utf-8"), max_size=8)


def read(text: bytes) -> list[tuple[str, dict[str, str], float]]:
    families = text_string_to_metric_families(text.decode())
    return [(it.name, it.labels, it.value) for family in families for it in family.samples]


@given(st.lists(st.tuples(LABELS, LABELS, VALUES), max_size=5))
def test_the_library_of_prometheus_reads_every_label_and_value_as_measured(
    told: list[tuple[str, str, float]],
) -> None:
    text = render((COPY,), [Sample("copies", (peer, backup), value) for peer, backup, value in told])
    wanted = [("appliance_copies", {"backup": backup, "peer": peer}, value) for peer, backup, value in told]
    assert list(map(repr, read(text))) == list(map(repr, wanted))


def test_every_metric_of_a_node_is_written_as_the_library_writes_it() -> None:
    samples = [Sample(it.name, tuple('a\\b"\nc' for _ in it.labels), 1.5) for it in METRICS]

    class Same(Collector):
        def collect(self) -> list[GaugeMetricFamily]:
            families = []
            for metric, sample in zip(METRICS, samples, strict=True):
                families.append(GaugeMetricFamily(metric.full_name, metric.help, labels=metric.labels))
                families[-1].add_metric(sample.labels, sample.value)
            return families

    registry = CollectorRegistry()
    registry.register(Same())
    assert render(METRICS, samples) == generate_latest(registry)


@pytest.mark.parametrize(("value", "written"), [(math.inf, "+Inf"), (-math.inf, "-Inf"), (math.nan, "NaN"), (3, "3.0")])
def test_a_number_is_written_as_prometheus_writes_it(value: float, written: str) -> None:
    assert render((ALONE,), [Sample("alone", (), value)]).decode().splitlines()[-1] == f"appliance_alone {written}"


def test_a_metric_without_samples_and_a_sample_of_no_metric_are_left_out() -> None:
    assert render((ALONE, COPY), [Sample("other", (), 1.0)]) == b""


def test_a_sample_with_the_labels_of_another_version_is_left_out() -> None:
    told = [Sample("copies", ("a",), 1.0), Sample("copies", ("a", "b"), 2.0)]
    assert [value for _, _, value in read(render((COPY,), told))] == [2.0]
    assert render((COPY,), told[:1]) == b""
