from kubeberth.metrics import Count, Histogram, Reading, exponential_buckets, to_text


def test_a_count_starts_at_nothing_and_grows_by_labels():
    plain, labelled = Count("a_total", "As."), Count("b_total", "Bs.", ("kind",))
    labelled.add("x")
    labelled.add("x", amount=2)
    labelled.add('q"\\\n')
    assert to_text((plain, labelled)).splitlines() == [
        "# HELP a_total As.",
        "# TYPE a_total counter",
        "a_total 0",
        "# HELP b_total Bs.",
        "# TYPE b_total counter",
        'b_total{kind="q\\"\\\\\\n"} 1',
        'b_total{kind="x"} 3',
    ]


def test_a_histogram_counts_each_value_in_every_range_that_holds_it():
    histogram = Histogram("t_seconds", "Times.", (0.5, 1.0), ("result",))
    for value in (0.5, 0.75, 9):
        histogram.observe(value, "ok")
    assert to_text((histogram,)).splitlines()[2:] == [
        't_seconds_bucket{result="ok",le="0.5"} 1',
        't_seconds_bucket{result="ok",le="1"} 2',
        't_seconds_bucket{result="ok",le="+Inf"} 3',
        't_seconds_sum{result="ok"} 10.25',
        't_seconds_count{result="ok"} 3',
    ]


def test_a_reading_is_looked_up_when_somebody_asks():
    values = {("a",): 1.5}
    reading = Reading("g", "Gs.", ("name",), lambda: values)
    values[("b",)] = 2
    assert to_text((reading,)).splitlines()[1:] == [
        "# TYPE g gauge",
        'g{name="a"} 1.5',
        'g{name="b"} 2',
    ]


def test_buckets_grow_by_a_factor():
    assert exponential_buckets(0.001, 2, 3) == (0.001, 0.002, 0.004)
