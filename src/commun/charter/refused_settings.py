"""Settings of other programs that no charter has, by the names that they have there, each with its reason.

An audit draws each token again from the seed (``engine/sampling.py``). So a setting is allowed only if what it does to
the candidates and to their order is described, stands in the receipt, and is the same in every build of the engine. Two
kinds are refused:

- what cannot be recomputed at all: the order of a top-k, beams, what speculation draws;
- what could be, and is described by no sampler that a receipt names: min_p, penalties, biases. A charter that allowed
  one would need a sampler with another id, in both verifiers.

Each reason is a message id and a phrase that follows a colon. Programs that ask for one of these are told the same
(``api/requests.py``).
"""

from collections.abc import Mapping
from typing import Final

from commun.errors import N_

_HEAP: Final = N_("the engine keeps the likeliest words in an order that differs from one build of it to another")
_BEAMS: Final = N_("beams weigh whole answers against each other and draw none of them from a seed")
_SPECULATION: Final = N_("words that are guessed ahead take further draws, and nobody records how many")
_MIN_P: Final = N_("the sampler that receipts name is described without it, and an audit would draw other words")
_PENALTIES: Final = N_(
    "it changes each word's chances by what was written before, and the sampler that receipts name knows no such rule"
)
_BIAS: Final = N_("it favours or forbids single words, and neither the charter nor a receipt would show which")
_OTHERS: Final = N_("the engine has no such sampler")

_GROUPS: Final[Mapping[str, tuple[str, ...]]] = {
    _HEAP: ("top_k",),
    _BEAMS: (
        *("beam_search", "beam_width", "num_beams", "num_beam_groups"),
        *("diversity_penalty", "length_penalty", "early_stopping", "use_beam_search"),
    ),
    _SPECULATION: (
        *("speculative", "speculative_decoding", "speculative_config", "draft", "draft_model", "draft_tokens"),
        *("num_assistant_tokens", "assistant_model", "assistant_confidence_threshold", "num_speculative_tokens"),
        *("prompt_lookup", "prompt_lookup_num_tokens", "max_ngram_size", "lookahead", "prediction"),
    ),
    _MIN_P: ("min_p", "min_tokens", "min_new_tokens", "min_length"),
    _PENALTIES: (
        *("presence_penalty", "frequency_penalty", "repetition_penalty", "repeat_penalty", "repeat_last_n"),
        *("no_repeat_ngram_size", "encoder_repetition_penalty"),
    ),
    _BIAS: ("logit_bias", "bad_words", "bad_words_ids", "allowed_token_ids", "force_words_ids", "suppress_tokens"),
    _OTHERS: (
        *("typical_p", "tfs_z", "top_a", "eta_cutoff", "epsilon_cutoff", "smoothing_factor"),
        *("mirostat", "mirostat_tau", "mirostat_eta", "dry_multiplier", "xtc_probability", "dynatemp_range"),
    ),
}
REFUSED: Final[Mapping[str, str]] = {name: reason for reason, names in _GROUPS.items() for name in names}


def find_reason(name: str) -> str | None:
    """Why no charter has this setting. None: it is not known at all, or a charter has it."""
    return REFUSED.get(name.lower().replace("-", "_"))
