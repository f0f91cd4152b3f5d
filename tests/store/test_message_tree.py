"""The tree of messages: branches, siblings and paths hold together whatever is asked in whatever order."""

from hypothesis import given, settings
from hypothesis import strategies as st

from commun.store.tree import Conversation, MessageState, StoredMessage


@st.composite
def trees(draw):
    """Any tree of up to 30 messages; each hangs under an earlier one or at the beginning."""
    count = draw(st.integers(1, 30))
    messages = {}
    for number in range(count):
        under = draw(st.integers(-1, number - 1))
        parent = None if under < 0 else f"m{under}"
        messages[f"m{number}"] = StoredMessage(f"m{number}", parent, "user", MessageState.COMPLETE, 0.0, {"text": ""})
    return Conversation("c", "t", 0.0, 0.0, messages, draw(st.sampled_from(list(messages))))


@given(trees(), st.data())
@settings(max_examples=200)
def test_a_path_leads_from_a_first_message_to_the_one_asked_for(tree, data):
    asked = data.draw(st.sampled_from(list(tree.messages)))
    path = tree.path(asked)
    assert path[0].parent_id is None
    assert path[-1].id == asked
    assert [one.parent_id for one in path[1:]] == [one.id for one in path[:-1]]


@given(trees(), st.data())
def test_the_leaf_under_a_message_has_nothing_under_it_and_its_path_passes_the_message(tree, data):
    asked = data.draw(st.sampled_from(list(tree.messages)))
    leaf = tree.leaf_under(asked)
    assert all(one.parent_id != leaf for one in tree.messages.values())
    assert asked in [one.id for one in tree.path(leaf)]


@given(trees(), st.data())
def test_siblings_share_a_parent_and_include_the_message(tree, data):
    asked = data.draw(st.sampled_from(list(tree.messages)))
    siblings = tree.siblings(asked)
    assert asked in siblings
    assert {tree.messages[one].parent_id for one in siblings} == {tree.messages[asked].parent_id}


@given(trees())
def test_without_a_wish_the_path_ends_at_the_shown_leaf(tree):
    assert tree.path()[-1].id == tree.leaf_id


def test_a_ring_of_parents_in_a_damaged_database_does_not_hang():
    ring = {
        "a": StoredMessage("a", "b", "user", MessageState.COMPLETE, 0.0, {"text": ""}),
        "b": StoredMessage("b", "a", "user", MessageState.COMPLETE, 0.0, {"text": ""}),
    }
    tree = Conversation("c", "t", 0.0, 0.0, ring, "a")
    assert len(tree.path()) <= 3
    assert tree.leaf_under("a") in ring
