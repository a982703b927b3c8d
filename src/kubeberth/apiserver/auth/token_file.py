"""Tokens and users in a file: lines of `token,user,uid,"group1,group2"`.

Matches `k8s.io/apiserver/pkg/authentication/token/tokenfile` of Kubernetes 1.36.
"""

from __future__ import annotations

import csv
import logging
from pathlib import Path

from kubeberth.apiserver.auth.authn import AUTHENTICATED, User
from kubeberth.errors import UsageError

logger = logging.getLogger(__name__)

_COLUMNS = 3


def read_token_file(path: Path) -> dict[str, User]:
    """Return the users of a file by their tokens.

    Raises
    ------
    UsageError
        It cannot be read, or some line has too few columns; no token is told.
    """
    users: dict[str, User] = {}
    try:
        with path.open(newline="") as file:
            is_open_to_others = path.stat().st_mode & 0o077
            for number, row in enumerate(csv.reader(file, strict=True), 1):
                if row:
                    _add(users, row, f"{path}:{number}")
    except OSError as error:
        raise UsageError(f"cannot read the token file {path}: {error.strerror}") from error
    except (csv.Error, UnicodeDecodeError) as error:
        raise UsageError(f"the token file {path} is no CSV: {error}") from error
    if is_open_to_others:
        logger.warning("others than its owner may read the token file %s", path)
    return users


def _add(users: dict[str, User], row: list[str], place: str) -> None:
    if len(row) < _COLUMNS:
        raise UsageError(
            f"{place}: token file must have at least 3 columns (token, user name, user uid), "
            f"found {len(row)}"
        )
    token, name, uid = row[:_COLUMNS]
    if not token:
        logger.warning("empty token has been found in token file %s", place)
        return
    if token in users:
        logger.warning("duplicate token has been found in token file %s", place)
    groups = row[_COLUMNS].split(",") if len(row) > _COLUMNS and row[_COLUMNS] else ()
    users[token] = User.of(name, (*groups, AUTHENTICATED), uid)
