"""Every address of the pages, in one table."""

from starlette.routing import BaseRoute, Route

from commun.web import account, board, charter, chat, pages
from commun.web.assets import serve_static


def web_routes() -> list[BaseRoute]:
    """What ``app.py`` mounts. Reading is GET, everything that changes something is POST (``guard.py`` checks whose)."""
    return [
        Route("/", pages.home),
        Route("/temporary", pages.temporary),
        Route("/c/{id}", pages.conversation),
        Route("/c/{id}/export.md", pages.export_markdown),
        Route("/c/{id}/export.json", pages.export_json),
        Route("/search", pages.search),
        Route("/engine", pages.engine),
        Route("/ask", chat.ask, methods=["POST"]),
        Route("/temporary", chat.ask_temporary, methods=["POST"]),
        Route("/c/{id}/ask", chat.ask, methods=["POST"]),
        Route("/c/{id}/edit", chat.edit, methods=["POST"]),
        Route("/c/{id}/again", chat.again, methods=["POST"]),
        Route("/c/{id}/branch", chat.branch, methods=["POST"]),
        Route("/c/{id}/rename", chat.rename, methods=["POST"]),
        Route("/c/{id}/delete", chat.delete, methods=["POST"]),
        Route("/c/{id}/restore", chat.restore, methods=["POST"]),
        Route("/answers/{id}/events", chat.events),
        Route("/answers/{id}/stop", chat.stop, methods=["POST"]),
        Route("/sign-in", account.sign_in),
        Route("/sign-out", account.sign_out, methods=["POST"]),
        Route("/unlock", account.unlock_page),
        Route("/unlock", account.unlock, methods=["POST"]),
        Route("/unlock/start-over", account.start_over, methods=["POST"]),
        Route("/settings", account.settings),
        Route("/settings/preferences", account.save_preferences, methods=["POST"]),
        Route("/settings/keys", account.make_key, methods=["POST"]),
        Route("/settings/keys/{id}/revoke", account.revoke_key, methods=["POST"]),
        Route("/settings/sessions/{id}/revoke", account.revoke_session, methods=["POST"]),
        Route("/settings/recovery", account.make_code, methods=["POST"]),
        Route("/charter", charter.charter),
        Route("/charter/editions", charter.editions),
        Route("/charter/editions/{number}", charter.edition),
        Route("/charter/editions/{number}/files/{path:path}", charter.source_file),
        Route("/charter/repository/{path:path}", charter.published_file),
        Route("/charter/charter.zip", charter.archive),
        Route("/charter/feed.atom", charter.feed),
        Route("/charter/told", charter.told, methods=["POST"]),
        Route("/board", board.board),
        Route("/board/join", board.join),
        Route("/board/invite", board.invite),
        Route("/board/upload", board.upload, methods=["POST"]),
        Route("/board/draft", board.draft, methods=["POST"]),
        Route("/board/draft/to-sign", board.draft_to_sign, methods=["POST"]),
        Route("/board/draft/sign", board.draft_signed, methods=["POST"]),
        Route("/board/freeze/to-sign", board.freeze_to_sign, methods=["POST"]),
        Route("/board/freeze/sign", board.freeze, methods=["POST"]),
        Route("/board/{document}.amendment", board.download),
        Route("/board/{document}/to-sign", board.to_sign),
        Route("/board/{document}/sign", board.sign, methods=["POST"]),
        Route("/board/{document}/adopt", board.adopt, methods=["POST"]),
        Route("/board/{document}", board.document),
        Route("/static/{version}/{path:path}", serve_static),
    ]
