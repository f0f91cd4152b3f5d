"""Recovery codes: typed by people, with typing errors told from wrong codes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commun.store.recovery import RecoveryCodeMistyped, new_secret, read_code, write_code

secrets = st.binary(min_size=20, max_size=20)


@given(secrets)
def test_a_code_reads_back_as_it_was_written(secret):
    assert read_code(write_code(secret)) == secret


@given(secrets)
def test_case_dashes_spaces_and_lookalikes_are_forgiven(secret):
    code = write_code(secret)
    assert read_code(code.lower().replace("-", "  ")) == secret
    assert read_code(code.replace("-", "").replace("0", "o").replace("1", "l") + "\n") == secret


@given(secrets, st.data())
def test_a_wrong_symbol_is_a_typing_error(secret, data):
    code = write_code(secret)
    place = data.draw(st.sampled_from([at for at, one in enumerate(code) if one != "-"]))
    other = data.draw(st.sampled_from([one for one in "0123456789ABCDEFGHJKMNPQRSTVWXYZ" if one != code[place]]))
    with pytest.raises(RecoveryCodeMistyped):
        read_code(code[:place] + other + code[place + 1 :])


@pytest.mark.parametrize("typed", ["", "ABCD", "-", "é" * 36, "U" * 36, "0" * 37])
def test_what_is_no_code_is_a_typing_error(typed):
    with pytest.raises(RecoveryCodeMistyped):
        read_code(typed)


def test_codes_are_nine_groups_of_four_and_never_the_same():
    codes = {write_code(new_secret()) for _ in range(100)}
    assert len(codes) == 100
    assert all([len(group) for group in code.split("-")] == [4] * 9 for code in codes)
