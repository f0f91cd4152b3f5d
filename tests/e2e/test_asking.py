"""Asking and being answered, in a real browser."""

import re
import time

from playwright.sync_api import Page, expect

from acts import ask, ask_and_wait, finished, written
from fake_engine import FakeEngine
from site_server import Site


def test_a_question_is_answered_in_place_and_listed(page: Page) -> None:
    answer = ask_and_wait(page, "How are you?")
    expect(written(answer)).to_have_text("Hello, this is a scripted answer.")
    expect(page).to_have_url(re.compile(r"/c/\w+$"))
    expect(page.locator("#list a")).to_have_text("How are you?")
    expect(page.locator("#list h2")).to_have_text("Today")
    expect(page).to_have_title("How are you? · Commun")
    expect(page.locator("#question")).to_be_focused()


def test_the_answer_appears_while_it_is_written_and_the_question_at_once(page: Page, engine: FakeEngine) -> None:
    engine.answer = "one two three four five six seven eight nine ten " * 4
    engine.delay_s = 0.4
    answer = ask(page, "Count")
    expect(page.locator(".question .bubble")).to_have_text("Count")
    expect(written(answer)).to_contain_text("one two")
    assert answer.get_attribute("data-running") == ""
    expect(page.locator("#stop")).to_be_visible()
    engine.delay_s = 0
    finished(answer)
    expect(page.locator("#stop")).to_be_hidden()


def test_shift_enter_makes_a_new_line(page: Page) -> None:
    page.locator("#question").fill("first")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("second")
    page.keyboard.press("Enter")
    expect(page.locator(".bubble")).to_have_text("first\nsecond")


def test_what_was_streamed_is_what_a_reload_shows(page: Page, engine: FakeEngine) -> None:
    engine.answer = (
        "Some *words*.\n\n## A title\n\n1. one\n2. two\n\n| a | b |\n|---|--:|\n| 1 | 2 |\n\n"
        "```python\nprint('x')\n```\n\nand $x^2$ and\n\n$$\\frac{1}{2}$$\n\nthe end."
    )
    answer = ask_and_wait(page, "Everything")
    streamed = written(answer).inner_html()
    page.reload()
    assert written(page.locator(".answer")).inner_html() == streamed


def test_stopping_keeps_what_was_written_and_says_so(page: Page, engine: FakeEngine) -> None:
    engine.answer = "word " * 500
    engine.delay_s = 0.2
    answer = ask(page, "Go on for ever")
    expect(written(answer)).to_contain_text("word word")
    page.locator("#stop").click()
    finished(answer)
    expect(answer).to_contain_text("This answer was stopped before its end.")
    assert 0 < written(answer).inner_text().count("word") < 200
    page.reload()
    expect(page.locator(".answer")).to_contain_text("This answer was stopped before its end.")
    expect(page.locator("#send")).to_be_visible()


def test_escape_stops(page: Page, engine: FakeEngine) -> None:
    engine.answer = "word " * 500
    engine.delay_s = 0.2
    answer = ask(page, "Go on")
    expect(written(answer)).to_contain_text("word")
    page.keyboard.press("Escape")
    finished(answer)


def test_an_edited_question_is_a_branch_and_both_can_be_read(page: Page, engine: FakeEngine) -> None:
    engine.answer = lambda prompt, _sampling: f"You said: {prompt.messages[-1].content}"
    ask_and_wait(page, "first wording")
    page.locator(".question").hover()
    page.locator("[data-edit]").click()
    page.locator("form.edit textarea").fill("second wording")
    page.keyboard.press("Enter")
    expect(written(page.locator(".answer"))).to_have_text("You said: second wording")
    expect(page.locator(".question .branches span")).to_have_text("2/2")
    page.get_by_label("Previous version").click()
    expect(written(page.locator(".answer"))).to_have_text("You said: first wording")
    expect(page.locator(".question .branches span")).to_have_text("1/2")
    page.reload()
    expect(page.locator(".bubble")).to_have_text("first wording")


def test_another_answer_is_a_branch(page: Page, engine: FakeEngine) -> None:
    ask_and_wait(page, "Once more")
    engine.answer = "Another one."
    page.locator(".again").click()
    expect(written(page.locator(".answer"))).to_have_text("Another one.")
    expect(page.locator(".answer .branches span")).to_have_text("2/2")


def test_a_second_question_carries_the_first(page: Page, engine: FakeEngine) -> None:
    ask_and_wait(page, "My name is Ada")
    ask_and_wait(page, "What is my name?")
    expect(page.locator(".message")).to_have_count(4)
    said = [message.content for message in engine.calls[-1][0].messages if message.role != "system"]
    assert said == ["My name is Ada", "Hello, this is a scripted answer.", "What is my name?"]


def test_a_reload_in_the_middle_resumes_and_loses_nothing(page: Page, engine: FakeEngine) -> None:
    engine.answer = " ".join(f"w{number}" for number in range(80))
    engine.delay_s = 0.03
    answer = ask(page, "Count")
    expect(written(answer)).to_contain_text("w5")
    page.reload()
    expect(written(page.locator(".answer"))).to_contain_text("w5")
    finished(page.locator(".answer"))
    expect(written(page.locator(".answer"))).to_have_text(engine.answer)


def test_a_second_tab_follows_the_same_answer(page: Page, engine: FakeEngine) -> None:
    engine.answer = " ".join(f"w{number}" for number in range(60))
    engine.delay_s = 0.03
    ask(page, "Count")
    expect(page).to_have_url(re.compile("/c/"))
    second = page.context.new_page()
    second.goto(page.url)
    for each in (page, second):
        finished(each.locator(".answer"))
        expect(written(each.locator(".answer"))).to_have_text(engine.answer)


def test_the_answer_is_finished_though_the_tab_was_closed(page: Page, engine: FakeEngine, site: Site) -> None:
    engine.answer = " ".join(f"w{number}" for number in range(30))
    engine.delay_s = 0.02
    ask(page, "Count")
    expect(page).to_have_url(re.compile("/c/"))
    url, context = page.url, page.context
    page.close()
    while site.app.state.services.assistant.running:
        time.sleep(0.02)
    again = context.new_page()
    again.goto(url)
    expect(written(again.locator(".answer"))).to_have_text(engine.answer)


def test_a_failure_is_shown_kept_and_can_be_tried_again(page: Page, engine: FakeEngine) -> None:
    engine.fail_after = 3
    answer = ask_and_wait(page, "Fail")
    expect(answer.locator(".problem")).to_contain_text("The model stopped in the middle of its work")
    expect(written(answer)).to_contain_text("Hello, this")
    page.reload()
    expect(page.locator(".answer .problem")).to_contain_text("The model stopped")
    engine.fail_after = None
    page.get_by_text("Try again").click()
    expect(written(page.locator(".answer"))).to_have_text("Hello, this is a scripted answer.")


def test_an_answer_that_the_servers_end_interrupted_is_kept_and_can_be_tried_again(page: Page, site: Site) -> None:
    services = site.app.state.services
    (token,) = [each["value"] for each in page.context.cookies() if each["name"] == "commun_session"]
    viewer = site.run(services.accounts.viewer(token))
    turn = site.run(
        services.conversations.start_turn(viewer, conversation_id=None, parent_id=None, question="Cut", title="Cut")
    )
    site.run(turn.checkpoint({"text": "Half an ans"}))
    site.run(services.conversations.recover())
    page.goto(f"/c/{turn.conversation_id}")
    expect(written(page.locator(".answer"))).to_have_text("Half an ans")
    expect(page.locator(".answer")).to_contain_text("Commun was stopped while it wrote this answer.")
    page.get_by_text("Try again").click()
    expect(written(page.locator(".answer"))).to_have_text("Hello, this is a scripted answer.")


def test_reasoning_is_folded_away_but_can_be_read(page: Page, engine: FakeEngine) -> None:
    engine.answer = "<think>Let me *see* what this is.</think>\n\nIt is this."
    answer = ask_and_wait(page, "Think")
    expect(written(answer)).to_have_text("It is this.")
    thought = answer.locator(".thought .prose")
    expect(thought).to_be_hidden()
    answer.get_by_text("Reasoning").click()
    expect(thought).to_have_text("Let me see what this is.")


def test_what_an_answer_cost_is_told_with_its_method(page: Page, engine: FakeEngine) -> None:
    engine.delay_s = 0.02
    answer = ask_and_wait(page, "Cost?")
    expect(answer.locator(".facts summary")).to_contain_text("6 tokens")
    answer.locator(".facts summary").click()
    expect(answer.locator(".facts dl")).to_contain_text("Wh")
    expect(answer.locator(".facts dl")).to_contain_text("shared among the answers written at the same time")
    expect(answer.locator(".facts dl")).to_contain_text("Seed")


def test_dropped_messages_are_told(page: Page, engine: FakeEngine) -> None:
    engine.info = engine.info.__class__(
        **{**{name: getattr(engine.info, name) for name in engine.info.__slots__}, "context_length": 120}
    )
    for number in range(3):
        ask_and_wait(page, f"Question {number} " + "word " * 25)
    expect(page.locator(".answer").last).to_contain_text("oldest messages were left out")
    page.reload()
    expect(page.locator(".answer").last).to_contain_text("oldest messages were left out")


def test_the_answer_is_announced_but_not_read_token_by_token(page: Page, engine: FakeEngine) -> None:
    engine.answer, engine.delay_s = "word " * 200, 0.2
    answer = ask(page, "Speak")
    expect(page.locator("#announce")).to_have_text("The answer has begun.")
    engine.delay_s = 0
    finished(answer)
    expect(page.locator("#announce")).to_have_text("The answer is finished.")
    assert page.locator("#transcript").get_attribute("aria-live") == "off"


def test_code_can_be_copied(page: Page, engine: FakeEngine) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    engine.answer = "Here:\n\n```python\nprint('hello')\n```\n"
    answer = ask_and_wait(page, "Code")
    answer.get_by_label("Copy the code").click()
    assert page.evaluate("navigator.clipboard.readText()") == "print('hello')\n"
    answer.get_by_label("Copy the answer").click()
    expect(page.locator("#announce")).to_have_text("Copied.")
    assert page.evaluate("navigator.clipboard.readText()").startswith("Here:\n\n```python")


def test_a_conversation_with_a_running_answer_takes_no_second_question(page: Page, engine: FakeEngine) -> None:
    engine.answer = "word " * 400
    engine.delay_s = 0.2
    answer = ask(page, "One")
    expect(written(answer)).to_contain_text("word")
    page.locator("#question").fill("Two")
    page.keyboard.press("Enter")
    expect(page.locator(".question")).to_have_count(1)
    expect(page.locator("#question")).to_have_value("Two")
