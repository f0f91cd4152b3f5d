"""What becomes of a conversation of another assistant: the whole tree, every branch, and what could not come along."""

import time
from typing import Any

import pytest

from commun.importing.formats import conversation_of
from commun.importing.outline import ImportedConversation, NotAConversation, moment
from commun.importing.own import Account, account
from exports import conversation, node, open_webui_chat, two_branches

NOW = 1_800_000_000.0


def read(value: dict[str, Any]) -> ImportedConversation:
    return conversation_of(value, str, now=NOW)


def tree(found: ImportedConversation) -> list[tuple[int | None, str, str]]:
    return [(one.parent, one.role, one.text) for one in found.messages]


def shown(found: ImportedConversation) -> list[str]:
    place: int | None = found.leaf
    texts: list[str] = []
    while place is not None:
        texts.append(found.messages[place].text)
        place = found.messages[place].parent
    return texts[::-1]


def test_every_branch_of_chatgpts_tree_is_kept_and_the_shown_one_ends_where_it_says() -> None:
    found = read(two_branches())
    assert tree(found) == [
        (None, "user", "What is weather?"),
        (0, "assistant", "First answer."),
        (0, "assistant", "Second answer."),
        (2, "user", "And climate?"),
        (3, "assistant", "Third answer."),
    ]
    assert shown(found) == ["What is weather?", "Second answer.", "And climate?", "Third answer."]
    assert (found.source, found.id, found.title) == ("chatgpt", "conv-1", "Weather")
    assert (found.created, found.updated) == (1_700_000_000.0, 1_700_000_100.0)
    assert found.messages[1].model == "gpt-4o"
    assert found.messages[0].model == ""


def test_a_branch_that_is_not_the_last_one_may_be_shown() -> None:
    assert shown(read(two_branches() | {"current_node": "a1"})) == ["What is weather?", "First answer."]


def test_what_the_page_hid_is_left_out_and_what_hung_on_it_stays() -> None:
    found = read(
        conversation(
            node("root", None),
            node("s", "root", "system", "secret instruction"),
            node("c", "s", "user", content={"content_type": "user_editable_context", "user_profile": "me"}),
            node("w", "c", "assistant", "weightless", weight=0.0),
            node("q", "w", "user", "Why?"),
            node("e", "q", "assistant", ""),
            node("a", "e", "assistant", "Because."),
        )
    )
    assert tree(found) == [(None, "user", "Why?"), (0, "assistant", "Because.")]


def test_calls_of_tools_and_what_they_gave_become_one_answer_in_which_they_are_named() -> None:
    found = read(
        conversation(
            node("q", None, "user", "Draw it"),
            node("c", "q", "assistant", content={"content_type": "code", "language": "python", "text": "1 + 1"},
                 recipient="python"),
            node("o", "c", "tool", content={"content_type": "execution_output", "text": "2"}, tool="python"),
            node("b", "o", "tool", content={"content_type": "tether_browsing_display", "result": "x"}, tool="browser"),
            node("t", "b", "assistant", content={"content_type": "thoughts", "thoughts": [{"summary": "hm"}]}),
            node("a", "t", "assistant", "It is two.\ue200cite\ue202turn0\ue201"),
        )
    )  # fmt: skip
    assert [one.role for one in found.messages] == ["user", "assistant"]
    assert found.messages[1].text == (
        "[Asked the tool “python”]\n\n```python\n1 + 1\n```\n\n```\n2\n```\n\n"
        "[What the tool “browser” gave was left out]\n\nIt is two."
    )
    assert found.left_out == {"tools": 2, "reasoning": 1}


def test_images_files_and_sounds_are_named_in_their_place() -> None:
    image = {"content_type": "image_asset_pointer", "asset_pointer": "file-service://file-abc"}
    spoken = {"content_type": "audio_transcription", "text": "Spoken words"}
    sound = {"content_type": "audio_asset_pointer", "asset_pointer": "sediment://x"}
    attachments = [{"id": "file-abc", "name": "photo.png"}, {"id": "file-def", "name": "plan [1].pdf"}]
    found = read(
        conversation(
            node("q", None, "user", image, "See this", spoken, sound, metadata={"attachments": attachments}),
            node("a", "q", "assistant", "I see."),
        )
    )
    assert found.messages[0].text == (
        "[Image left out: photo.png]\n\nSee this\n\nSpoken words\n\n[Sound left out]\n\n[File left out: plan (1).pdf]"
    )
    assert found.left_out == {"images": 1, "files": 1, "sounds": 1}


def test_a_fork_within_an_answer_gives_two_answers_that_begin_alike() -> None:
    found = read(
        conversation(
            node("q", None, "user", "Why?"),
            node("a", "q", "assistant", "Let me see."),
            node("b", "a", "assistant", "Because."),
            node("c", "a", "assistant", "Therefore."),
        )
    )
    assert tree(found) == [
        (None, "user", "Why?"),
        (0, "assistant", "Let me see.\n\nBecause."),
        (0, "assistant", "Let me see.\n\nTherefore."),
    ]


def test_a_question_that_nobody_answered_can_be_asked_here() -> None:
    found = read(
        conversation(
            node("q", None, "user", "Why?"), node("a", "q", "assistant", "So."), node("r", "a", "user", "How?")
        )
    )
    assert tree(found)[-1] == (2, "assistant", "")
    assert found.messages[-1].missing
    assert shown(found) == ["Why?", "So.", "How?", ""]


def test_open_webuis_tree_is_read_with_the_branch_that_it_showed() -> None:
    found = read(open_webui_chat())
    assert tree(found) == [
        (None, "user", "What is a quorum?\n\n[Image left out: board.png]"),
        (0, "assistant", "Enough members."),
        (0, "assistant", "A number."),
    ]
    assert shown(found)[-1] == "Enough members."
    assert [one.model for one in found.messages] == ["", "llama3:8b", "qwen3:4b"]
    assert (found.source, found.id, found.updated) == ("open-webui", "owui-1", 1_700_000_050)
    assert found.left_out == {"images": 1, "reasoning": 1}


def test_a_chat_of_open_webui_alone_without_its_row_is_read_too() -> None:
    assert read(open_webui_chat()["chat"]).title == "Quorum"


def test_a_conversation_without_a_name_has_the_same_one_each_time() -> None:
    nameless = {"conversation_id": None, "id": None}
    first, second = read(two_branches() | nameless), read(two_branches() | nameless)
    assert first.id == second.id
    assert first.id != read(two_branches(title="Other") | nameless).id


def ours(*messages: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"format": "commun-conversation/1", "id": "c1", "title": "Ours", "messages": list(messages), **more}


def answer_of_ours(**more: Any) -> dict[str, Any]:
    content = {"text": "So.", **more.pop("content", {})}
    return {"id": "a", "parent": "q", "role": "assistant", "content": content, **more}


QUESTION = {"id": "q", "parent": None, "role": "user", "content": {"text": "Why?"}}


def test_commun_s_own_tree_keeps_how_answers_ended_and_what_was_said_of_them() -> None:
    said = {"thumb": "up", "reasons": [], "remark": ""}
    content = {"model": "qwen", "error": "engine_failed", "receipt": "r1", "prompt_tokens": 12}
    found = read(ours(QUESTION, answer_of_ours(state="failed", feedback=said, content=content), folder=" A  b "))
    assert found.folder == "A b"
    kept = found.messages[1].kept
    assert (kept.state, kept.facts, kept.said) == ("failed", {"error": "engine_failed"}, said)
    assert found.messages[1].model == "qwen"


def test_what_came_from_another_assistant_before_still_says_so() -> None:
    before = {"from": "chatgpt", "model": "gpt-4o", "conversation": "x", "message": "y"}
    found = read(ours(QUESTION, answer_of_ours(content={"imported": before})))
    assert (found.messages[1].kept.origin, found.messages[1].model) == ("chatgpt", "gpt-4o")
    missing = answer_of_ours(content={"text": "", "imported": before | {"missing": "yes"}})
    assert read(ours(QUESTION, missing)).messages[1].missing
    made_up = answer_of_ours(content={"imported": {"from": "reading"}})
    assert read(ours(QUESTION, made_up)).messages[1].kept.origin == ""


def test_projects_and_folders_without_a_name_are_told_and_made_assistants_are_none() -> None:
    assert read(two_branches() | {"conversation_template_id": "g-p-67f4e1"}).folder_id == "g-p-67f4e1"
    assert read(two_branches() | {"gizmo_id": "g-p-67f4e1"}).folder_id == "g-p-67f4e1"
    assert read(two_branches() | {"gizmo_id": "g-2fkFE8rbu"}).folder_id == ""
    assert read(open_webui_chat() | {"folder_id": "d0f1"}).folder_id == "d0f1"
    assert read(open_webui_chat()).folder_id == ""


def test_instructions_of_ones_own_are_counted_as_left_out_once_a_conversation() -> None:
    about = {"content_type": "user_editable_context", "user_profile": "me", "user_instructions": "be brief"}
    hidden = {"is_visually_hidden_from_conversation": True, "is_user_system_message": True}
    found = read(
        conversation(
            node("c", None, "user", content=about, metadata=hidden),
            node("d", "c", "user", content=about, metadata=hidden),
            node("q", "d", "user", "Why?"),
            node("a", "q", "assistant", "Because."),
        )
    )
    assert found.left_out == {"instructions": 1}
    assert "brief" not in str(found)


STRANGE: list[Any] = [None, 3, "x", [], {}, [[]], {"role": []}, {"text": {}}, "a" * 100_000, -1.5, True]


@pytest.mark.parametrize("value", STRANGE)
def test_fields_of_any_other_type_in_ones_own_export_break_nothing(value: Any) -> None:
    message = answer_of_ours(state=value, feedback=value, created=value)
    message["content"] |= {"imported": value, "model": value, "error": value, "finish_reason": value}
    found = read(ours(QUESTION, message, folder=value, leaf=value, created=value, updated=value))
    kept = found.messages[1].kept
    assert all(isinstance(word, str) and len(word) <= 40 for word in (kept.state, kept.origin, *kept.facts.values()))
    for told in (
        {"instructions": value, "folders": value},
        {"folders": [value, {"name": value, "instructions": value}]},
    ):
        found_account = account({"format": "commun-account/1", **told})
        assert all(isinstance(text, str) for pair in found_account.folders.items() for text in pair)
        assert isinstance(found_account.instructions, str)


def test_an_account_is_read_from_its_own_format_alone() -> None:
    told = {"instructions": {"text": "Me"}, "folders": [{"name": " A  b", "instructions": "Do"}]}
    assert account(told) == account({}) == Account()
    assert account(told | {"format": "commun-account/1"}) == Account("Me", {"A b": "Do"})


@pytest.mark.parametrize(
    "value",
    [{}, {"mapping": {}}, {"mapping": 3}, {"chat": {"history": {"messages": {}}}}, {"format": "commun-conversation/1"},
     {"format": "commun-conversation/1", "messages": [{"id": "x"}]}, {"mapping": {"a": {"parent": "a", "message": None}}}],
)  # fmt: skip
def test_what_is_no_conversation_is_refused(value: dict[str, Any]) -> None:
    with pytest.raises(NotAConversation):
        read(value)


def test_parents_that_are_their_own_children_or_missing_hold_nothing_up() -> None:
    found = read(
        conversation(
            node("x", "y", "user", "in a ring"),
            node("y", "x", "assistant", "in a ring"),
            node("q", "nowhere", "user", "Why?"),
            node("a", "q", "assistant", "Because."),
        )
    )
    assert tree(found) == [(None, "user", "Why?"), (0, "assistant", "Because.")]


def test_a_tree_whose_forks_would_multiply_it_is_refused() -> None:
    nodes = [node("n0", None, "user", "Why?"), node("n1", "n0", "assistant", "x" * 2000)]
    for number in range(2, 3000):
        nodes.append(node(f"n{number}", f"n{number - 1}", "assistant", "x" * 2000))
        nodes.append(node(f"f{number}", f"n{number - 1}", "assistant", "fork"))
    with pytest.raises(NotAConversation):
        read(conversation(*nodes))


def test_ten_thousand_messages_one_below_the_other_are_read() -> None:
    roles = ("user", "assistant")
    nodes = [node(f"n{number}", f"n{number - 1}", roles[number % 2], str(number)) for number in range(10_000)]
    assert len(read(conversation(*nodes)).messages) == 10_000


@pytest.mark.parametrize(
    ("value", "expected"),
    [(1_700_000_000, 1_700_000_000.0), (1_700_000_000_000, 1_700_000_000.0), (1.5, 1.5), (0, None), (-1, None),
     (float("nan"), None), (float("inf"), None), (1e300, None), ("1700000000", None), (None, None), (True, None)],
)  # fmt: skip
def test_times_are_times_or_nothing(value: object, expected: float | None) -> None:
    assert moment(value) == expected


def test_nothing_is_from_the_future() -> None:
    found = read(two_branches() | {"create_time": 2_000_000_000, "update_time": 2_000_000_001})
    assert found.created == found.updated == NOW


def test_fields_of_any_other_type_break_nothing() -> None:
    strange: list[Any] = [None, 3, "x", [], {}, [[]], {"role": []}]
    for value in strange:
        one = node("q", None, "user", "Why?")
        for name in ("author", "metadata", "content", "recipient", "create_time"):
            one["message"] = {**one["message"], name: value}
            try:
                read(conversation(one, node("a", "q", "assistant", "Because.")))
            except NotAConversation:
                continue


@pytest.mark.parametrize("mark", ["\ue200", "\ue200x\ue201", '<details type="a">', '<details type="a"', "<details "])
def test_a_megabyte_of_nothing_but_opening_marks_is_read_in_one_go(mark: str) -> None:
    """Looked through again from each of them, it would take minutes in which nothing else of the server goes on."""
    text = "So. " + mark * (1_000_000 // len(mark))
    chatgpt = conversation(node("q", None, "user", text))
    webui = open_webui_chat()
    webui["chat"]["history"]["messages"] = {"q": {"id": "q", "role": "user", "content": text}}
    for value in (chatgpt, webui):
        begun = time.process_time()
        assert read(value).messages[0].text.startswith("So. ")
        assert time.process_time() - begun < 20, "a hundred times what it takes"


def test_citations_and_details_end_at_their_first_end_and_one_without_an_end_stays() -> None:
    cited = "One\ue200cite\ue202turn0\ue201, two\ue203.\ue200open\nThree\ue201\ue201 four \ue200never"
    found = read(conversation(node("q", None, "user", cited)))
    assert found.messages[0].text == "One, two. four never"
    chat = open_webui_chat()
    details = (
        '<details type="reasoning" done="true">why</details>\n\nOne <details type="tool_calls" name="look">'
        'a</details> two </details> <details type="x"><details type="y">in</details>. <details type="z">open'
    )
    chat["chat"]["history"]["messages"] = {"q": {"id": "q", "role": "user", "content": details}}
    told = read(chat)
    assert told.messages[0].text == (
        'One [Asked the tool “look”]\n\ntwo </details> [Asked the tool “x”]\n\n. <details type="z">open'
    )
    assert told.left_out == {"reasoning": 1, "tools": 2}
