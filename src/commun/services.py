"""What the pages and the API are given: built by ``app.py``, found at ``request.app.state.services``."""

from dataclasses import dataclass

from commun.assistant.in_force import CharterInForce
from commun.assistant.turn import Assistant
from commun.config import Settings
from commun.engine.adding import Adding
from commun.engine.weights import ModelLibrary
from commun.openid.provider import Provider
from commun.recording.bundles import Bundles
from commun.recording.recorder import Recorder
from commun.store.accounts import Accounts
from commun.store.administration import Administration
from commun.store.audit_samples import AuditSamples
from commun.store.classes import Classes
from commun.store.conversations import Conversations
from commun.store.database import Database
from commun.store.feedback import Feedback
from commun.store.folders import Folders
from commun.store.instructions import Instructions
from commun.store.invitations import Invitations
from commun.store.passkeys import Passkeys
from commun.store.provider_accounts import ProviderAccounts
from commun.store.readers import Readers
from commun.store.reading import Reading
from commun.store.receipts import Receipts
from commun.store.sent import Sent
from commun.store.shares import Shares
from commun.store.ways_in import WaysIn


@dataclass(frozen=True, slots=True)
class Services:
    settings: Settings
    charter: CharterInForce
    accounts: Accounts
    ways_in: WaysIn
    passkeys: Passkeys
    invitations: Invitations
    administration: Administration
    classes: Classes
    conversations: Conversations
    folders: Folders
    instructions: Instructions
    assistant: Assistant
    library: ModelLibrary
    adding: Adding
    database: Database
    receipts: Receipts
    recorder: Recorder
    bundles: Bundles
    shares: Shares
    readers: Readers
    reading: Reading
    feedback: Feedback
    sent: Sent
    samples: AuditSamples
    provider: Provider | None
    provider_accounts: ProviderAccounts
