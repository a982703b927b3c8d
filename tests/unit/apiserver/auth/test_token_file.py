"""Tokens and users in a file."""

from __future__ import annotations

import pytest

from kubeberth.apiserver.auth.authn import AUTHENTICATED, Authenticator, Shown
from kubeberth.apiserver.auth.token_file import read_token_file
from kubeberth.errors import UnauthorizedError, UsageError


def written(tmp_path, text):
    path = tmp_path / "tokens.csv"
    path.write_text(text)
    path.chmod(0o600)
    return path


def test_a_line_is_a_token_a_user_a_uid_and_groups(tmp_path, caplog):
    users = read_token_file(written(tmp_path, 't1,ann,7,"devs,ops"\n\nt2,bob,8\n'))
    assert users["t1"].name == "ann"
    assert users["t1"].uid == "7"
    assert users["t1"].group_list == ["devs", "ops", AUTHENTICATED]
    assert users["t2"].group_list == [AUTHENTICATED]
    assert caplog.text == ""


def test_its_tokens_let_their_users_in_and_nobody_else(tmp_path):
    authenticator = Authenticator(read_token_file(written(tmp_path, "t1,ann,7\n")))
    assert authenticator.authenticate(Shown(authorization="Bearer t1"), 0.0).name == "ann"
    for wrong in ("t2", "t", "", "t1,ann,7"):
        with pytest.raises(UnauthorizedError):
            authenticator.authenticate(Shown(authorization=f"Bearer {wrong}"), 0.0)


def test_empty_tokens_let_nobody_in_and_are_told(tmp_path, caplog):
    assert read_token_file(written(tmp_path, ",ann,7\n")) == {}
    assert "empty token" in caplog.text


@pytest.mark.parametrize("text", ["secret,ann", "t1,ann,7\nsecret", '"secret,ann,7'])
def test_a_malformed_line_is_refused_without_telling_the_token(tmp_path, text):
    with pytest.raises(UsageError) as refused:
        read_token_file(written(tmp_path, text))
    assert "secret" not in str(refused.value)
    assert "tokens.csv" in str(refused.value)


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"cannot read the token file .*: No such file"):
        read_token_file(tmp_path / "nowhere")


def test_a_file_that_others_may_read_is_warned_of(tmp_path, caplog):
    path = written(tmp_path, "t1,ann,7\n")
    path.chmod(0o644)
    read_token_file(path)
    assert "others than its owner may read the token file" in caplog.text
