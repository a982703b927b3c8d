"""The audit log's file: private, rotated, complete."""

from __future__ import annotations

import errno
import json
import logging
import stat

import pytest

from kubeberth.apiserver.audit.event import Record
from kubeberth.apiserver.audit.log import MEBIBYTE, AuditLog, LogSettings, RotatingFile
from kubeberth.apiserver.audit.policy import DEFAULT_POLICY
from kubeberth.apiserver.route import parse_request
from kubeberth.errors import UsageError

DAY = 24 * 3600.0


class Clock:
    def __init__(self) -> None:
        self.seconds = 1_800_000_000.0

    def now(self) -> float:
        self.seconds += 0.001
        return self.seconds

    def monotonic(self) -> float:
        return self.seconds


def record(audit_id: str) -> Record:
    info = parse_request("GET", "/api/v1/pods", "")
    measure = DEFAULT_POLICY.measure(None, info)
    return Record(
        audit_id, "ResponseComplete", measure, info, "/api/v1/pods", None, None, "", "", 0.0, 0.0
    )


def test_every_record_is_a_line_in_the_order_in_which_they_came(tmp_path):
    path = tmp_path / "audit.log"
    log = AuditLog(LogSettings(str(path)), Clock())
    for number in range(1000):
        log.write(record(str(number)))
    log.close()
    events = [json.loads(line) for line in path.read_text().splitlines()]
    assert [event["auditID"] for event in events] == [str(number) for number in range(1000)]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_what_was_written_before_stays(tmp_path):
    path = tmp_path / "audit.log"
    for number in range(2):
        log = AuditLog(LogSettings(str(path)), Clock())
        log.write(record(str(number)))
        log.close()
    assert len(path.read_text().splitlines()) == 2


def test_a_record_that_cannot_be_told_does_not_end_the_log(tmp_path, caplog):
    path = tmp_path / "audit.log"
    log = AuditLog(LogSettings(str(path)), Clock())
    bad = record("bad")
    object.__setattr__(bad, "annotations", {1: object()})
    log.write(bad)
    log.write(record("good"))
    log.close()
    events = [json.loads(line) for line in path.read_text().splitlines()]
    assert [event["auditID"] for event in events] == ["bad", "good"]
    assert "cannot tell of a request" in caplog.text


def test_a_full_disk_is_logged_once_and_writing_goes_on_later(tmp_path, caplog, monkeypatch):
    path = tmp_path / "audit.log"
    log = AuditLog(LogSettings(str(path)), Clock())
    write = RotatingFile.write
    outcomes = iter([OSError(errno.ENOSPC, "No space left on device")] * 2)

    def failing(self, lines):
        if error := next(outcomes, None):
            raise error
        write(self, lines)

    monkeypatch.setattr(RotatingFile, "write", failing)
    with caplog.at_level(logging.ERROR):
        for number in range(3):
            log._write([b"%d\n" % number])
    log.close()
    assert path.read_text() == "2\n"
    assert caplog.text.count("cannot write the audit log: No space left on device") == 1


def files(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_full_file_is_put_aside_and_lines_stay_whole(tmp_path):
    file = RotatingFile(LogSettings(str(tmp_path / "audit.log"), max_size_mb=1), Clock())
    line = b"x" * (MEBIBYTE // 2) + b"\n"
    file.write([line, line, line])
    file.close()
    current, *backups = reversed(files(tmp_path))
    assert current == "audit.log"
    assert len(backups) == 2
    assert backups[0].startswith("audit-2027-01-15T08-00-00.")
    assert all((tmp_path / name).stat().st_size == len(line) for name in files(tmp_path))
    assert all(stat.S_IMODE((tmp_path / n).stat().st_mode) == 0o600 for n in files(tmp_path))


def test_only_so_many_full_files_are_kept(tmp_path):
    settings = LogSettings(str(tmp_path / "audit.log"), max_backups=2, max_size_mb=1)
    file = RotatingFile(settings, Clock())
    (tmp_path / "audit-of-somebody.log").write_text("not ours")
    for _ in range(6):
        file.write([b"x" * MEBIBYTE])
    file.close()
    assert len(files(tmp_path)) == 4
    assert "audit-of-somebody.log" in files(tmp_path)


def test_old_full_files_go(tmp_path):
    clock = Clock()
    settings = LogSettings(str(tmp_path / "audit.log"), max_age_days=3, max_size_mb=1)
    file = RotatingFile(settings, clock)
    for _ in range(6):
        file.write([b"x" * MEBIBYTE])
        clock.seconds += DAY
    file.close()
    assert len(files(tmp_path)) == 1 + 3


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(UsageError, match=r"cannot write the audit log .*/none/audit\.log: No such"):
        AuditLog(LogSettings(str(tmp_path / "none" / "audit.log")), Clock())
