"""What may go wrong with a provider. Why it did stands in the log, never on the page: a page tells what to do.

``details`` of all: ``provider``, what the operator calls it.
"""

from commun.errors import N_, CommunError, Conflict, NotSignedIn


class ProviderError(CommunError):
    """What a provider did or did not do."""

    code = "provider_error"
    status = 502
    problem = N_("Signing in with %(provider)s did not work.")
    cure = N_("Try again, or sign in another way.")


class ProviderDown(ProviderError):
    code = "provider_down"
    problem = N_("%(provider)s does not answer now.")
    cure = N_("Try again in a while, or sign in another way.")


class ProviderUnproven(ProviderError):
    """Its answer is not what it must be, or not for us."""

    code = "provider_unproven"
    problem = N_("%(provider)s did not prove who you are.")
    cure = N_("Try again. If it happens again, tell whoever runs this Commun: its log says what was wrong.")


class ProviderSaidNo(NotSignedIn):
    """The person gave up there, or may not use it for this."""

    code = "provider_said_no"
    problem = N_("You were not signed in: %(provider)s says that it was refused or given up.")
    cure = N_("Try again, or sign in another way.")


class TryOver(NotSignedIn):
    code = "provider_try_over"
    problem = N_("This way back from %(provider)s has been used, has expired or was begun in another browser.")
    cure = N_("Begin again.")


class Unlinked(NotSignedIn):
    """Nobody's here, or that of somebody who is disabled: which of the two is not told."""

    code = "provider_unlinked"
    problem = N_("%(provider)s knows you, and nobody here has linked that account.")
    cure = N_("Sign in another way and link it in the settings, or ask whoever runs this Commun for an invitation.")


class LinkedElsewhere(Conflict):
    code = "provider_linked_elsewhere"
    problem = N_("That account of %(provider)s is linked to somebody else here.")
    cure = N_("Sign in with it, or use another one.")
