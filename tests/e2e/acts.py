"""What a person does on the page, in one call each."""

from playwright.sync_api import Locator, Page, expect


def ask(page: Page, question: str) -> Locator:
    """Sends a question; returns its answer, which may still be written."""
    before = page.locator(".answer").count()
    page.locator("#question").fill(question)
    page.keyboard.press("Enter")
    answer = page.locator(".answer").nth(before)
    answer.wait_for()
    return answer


def ask_and_wait(page: Page, question: str) -> Locator:
    answer = ask(page, question)
    finished(answer)
    return answer


def finished(answer: Locator) -> None:
    expect(answer).not_to_have_attribute("data-running", "")


def written(answer: Locator) -> Locator:
    return answer.locator("[data-part=answer]")
