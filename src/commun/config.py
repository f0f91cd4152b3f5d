"""Every setting of operation, typed: ``commun.toml``, over it ``COMMUN_*``, over it the options.

The file is the ``commun.toml`` of the folder in which Commun is started, where there is one (it may then name the data
folder too), else the one of the data folder.

Nothing else in Commun reads the environment, but for the terminal's language (``environment.py``) and, where a model is
fetched, what pip and the HTTP client know of mirrors and proxies. The engine's process is given only what finds
programs, libraries and the language (``engine/child.py``).

No setting can change an answer: what can is a clause of the charter. tests/test_config_changes_no_answer.py proves it
key by key; a new key needs its proof there.
"""

import tomllib
from ipaddress import ip_network
from pathlib import Path
from typing import Any, Literal

from platformdirs import user_data_path
from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from commun.errors import ConfigError

CONFIG_FILE = "commun.toml"


class Settings(BaseSettings):
    """All settings. Unknown keys in the file are errors; so are values out of bounds."""

    model_config = SettingsConfigDict(env_prefix="COMMUN_", extra="forbid", frozen=True)

    home: Path = Field(
        default_factory=lambda: user_data_path("commun"),
        description="The data folder: database, models, logs.",
    )
    host: str = Field(default="127.0.0.1", description="The address to listen on.")
    port: int = Field(default=8000, ge=0, le=65535, description="The port to listen on; 0 takes a free one.")
    public_url: str = Field(
        default="",
        description="How browsers reach this Commun, such as https://chat.example.org; empty: http://HOST:PORT.",
    )
    proxies: str = Field(
        default="127.0.0.1,::1",
        pattern=r"^[0-9A-Fa-f.:/, ]*$",
        description="Addresses and networks of proxies that are believed when they say whom they forward "
        "(X-Forwarded-For), with commas between; empty: nobody.",
    )

    engine_threads: int = Field(default=0, ge=0, le=512, description="Threads of the engine; 0: every core.")
    kv_cache_gb: int = Field(
        default=1,
        ge=1,
        le=1024,
        description="Memory for running answers, in GB; more where the longest conversation allowed needs it.",
    )
    models_from: str = Field(
        default="https://huggingface.co",
        pattern=r"^https?://[^/\s?#]+(/[^\s?#]*)?$",
        description="Where models are fetched from by their name: Hugging Face, or a mirror that answers as it does.",
    )
    remote_key: SecretStr = Field(default=SecretStr(""), description="API key for the server of a remote model.")

    max_running: int = Field(default=32, ge=1, le=1024, description="Answers that are written at once.")
    max_running_each: int = Field(
        default=2,
        ge=0,
        le=1024,
        description="Answers of one person that are written at once while others ask too; 0: no bound of its own.",
    )
    max_waiting: int = Field(default=64, ge=0, le=65536, description="Questions that wait; more are refused.")
    engine_timeout_s: int = Field(
        default=120, ge=1, le=86400, description="A step of the engine that takes longer is a failure."
    )

    max_body_bytes: int = Field(default=4_194_304, ge=1024, description="Largest request body.")
    max_import_bytes: int = Field(
        default=1_073_741_824, ge=1024, description="Largest file that a person may import from another assistant."
    )
    max_header_bytes: int = Field(default=32_768, ge=4096, description="Largest request head.")
    daily_tokens: int = Field(
        default=0,
        ge=0,
        le=10**12,
        description="Tokens that a person may use in a day (UTC), read and written; 0: no bound.",
    )
    rate_limit: str = Field(
        default="600/minute", description="Requests per caller on the API and for answers in the page."
    )
    sign_in_rate_limit: str = Field(default="20/minute", description="Sign-in attempts per address.")

    public_shares: bool = Field(
        default=False, description="Whether people may publish single answers under links that expire."
    )
    oidc_issuer: str = Field(
        default="",
        description="The identity provider at which people may sign in (OpenID Connect): its issuer, to the letter, "
        "such as https://login.example.org/realms/town; empty: none.",
    )
    oidc_client_id: str = Field(default="", description="How the identity provider knows this Commun.")
    oidc_client_secret: SecretStr = Field(
        default=SecretStr(""), description="What this Commun proves itself with to the identity provider."
    )
    oidc_name: str = Field(default="", max_length=60, description="What people call the identity provider.")
    oidc_accounts: Literal["invited", "anybody"] = Field(
        default="invited",
        description="Who may come in by the identity provider: whoever linked an account or was invited, or anybody "
        "whom it signs in.",
    )
    session_days: int = Field(default=30, ge=1, le=365, description="How long a browser stays signed in.")
    watt: float = Field(
        default=0,
        ge=0,
        le=10000,
        description="Power of the machine under load in watts, for the energy shown; 0: measured or estimated.",
    )
    audit_hour: int = Field(
        default=3,
        ge=-1,
        le=23,
        description="The hour of the night in which answers that were drawn are audited; -1: never.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(default="info", description="Least level logged.")
    log_format: Literal["console", "json"] = Field(default="console", description="How log lines look.")
    language: Literal["", "en", "fr"] = Field(
        default="", description="Language of the command line; empty: the system's."
    )

    @field_validator("proxies")
    @classmethod
    def _check_proxies(cls, given: str) -> str:
        """What is neither an address nor a network would match nobody, and nobody would be told."""
        for each in filter(None, (part.strip() for part in given.split(","))):
            try:
                ip_network(each, strict=False)
            except ValueError:
                message = f"“{each}” is neither an address nor a network"
                raise ValueError(message) from None
        return given

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Options first, then the environment, then the file."""
        del dotenv_settings, file_secret_settings
        home = init_settings().get("home") or env_settings().get("home") or user_data_path("commun")
        here = Path(CONFIG_FILE)
        path = here if here.is_file() else Path(home).expanduser() / CONFIG_FILE
        file = TomlConfigSettingsSource(settings_cls, path)
        return init_settings, env_settings, file


def load_settings(**options: Any) -> Settings:
    """Reads all sources; ``options`` that are None are left out. Raises ConfigError naming the first bad setting."""
    try:
        settings = Settings(**{name: value for name, value in options.items() if value is not None})
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        setting = ".".join(str(part) for part in first["loc"]) or CONFIG_FILE
        raise ConfigError(setting=setting, reason=first["msg"]) from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(setting=CONFIG_FILE, reason=str(error)) from error
    return settings.model_copy(update={"home": settings.home.expanduser().resolve()})
