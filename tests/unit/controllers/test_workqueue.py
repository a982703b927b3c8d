from kubeberth.controllers.workqueue import Entry, WorkQueue


def test_a_key_that_waits_is_there_once():
    queue = WorkQueue()
    queue.add_all(["a", "b", "a"])
    assert [queue.pop(0), queue.pop(0), queue.pop(0)] == ["a", "b", None]


def test_a_key_that_is_worked_on_comes_again_only_when_it_is_done():
    queue = WorkQueue()
    queue.add("a")
    queue.pop(0)
    queue.add("a")
    assert queue.pop(0) is None
    queue.done("a")
    assert queue.pop(0) == "a"


def test_failures_in_a_row_wait_5_ms_then_twice_as_long_each_time_up_to_1000_s():
    queue = WorkQueue()
    assert [queue.retry("a", 0) for _ in range(4)] == [0.005, 0.01, 0.02, 0.04]
    for _ in range(2000):
        delay = queue.retry("a", 0)
    assert delay == 1000


def test_a_failure_may_wait_for_less():
    queue = WorkQueue()
    delays = [queue.retry("a", 0, at_most_s=0.02) for _ in range(4)]
    assert delays == [0.005, 0.01, 0.02, 0.02]


def test_success_starts_the_back_off_over():
    queue = WorkQueue()
    queue.retry("a", 0)
    queue.retry("a", 0)
    queue.forget("a")
    assert queue.failures("a") == 0
    assert queue.retry("a", 0) == 0.005


def test_a_delayed_key_is_ready_at_its_time_and_the_earliest_delay_counts():
    queue = WorkQueue()
    queue.add_after("a", 10, now=0)
    queue.add_after("a", 3, now=0)
    queue.add_after("a", 7, now=0)
    assert queue.next_at() == 3
    assert queue.pop(2.9) is None
    assert queue.pop(3) == "a"
    queue.done("a")
    assert queue.next_at() is None
    assert queue.pop(100) is None


def test_the_queue_tells_of_each_key_whether_it_is_worked_on_comes_again_or_waits():
    queue = WorkQueue()
    queue.add_all(["busy", "ready"])
    queue.pop(0)
    queue.add("busy")
    queue.retry("failed", 0)
    queue.add_after("later", 3, 0)
    assert list(queue.entries()) == [
        Entry("busy", is_active=True, is_added=True, due_at=None, failures=0),
        Entry("failed", is_active=False, is_added=False, due_at=0.005, failures=1),
        Entry("later", is_active=False, is_added=False, due_at=3, failures=0),
        Entry("ready", is_active=False, is_added=True, due_at=None, failures=0),
    ]
