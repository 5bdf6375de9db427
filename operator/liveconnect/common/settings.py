"""What a service takes from its environment (`LIVECONNECT_*`), and its configuration file."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from liveconnect.api.operands import CONFIG_FILE

ConfigModel = TypeVar("ConfigModel", bound=BaseModel)


class ServiceSettings(BaseSettings):
    """Settings that the auth service and the gateway have in common."""

    model_config = SettingsConfigDict(env_prefix="LIVECONNECT_", frozen=True, extra="ignore")

    config_file: Path = Path(CONFIG_FILE)
    """The file that the operator wrote (`liveconnect.api.operands`)."""
    host: str = "0.0.0.0"  # noqa: S104 - a pod's address is not known in advance
    """Address to listen on."""
    port: int = 8080
    """Port to listen on; 0 takes a free one."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """Lowest level that is logged."""
    drain_delay_seconds: float = 3.0
    """How long requests are still accepted after SIGTERM: callers need it to learn of it."""
    drain_timeout_seconds: float = 10.0
    """How long requests that are under way may take after that."""


class ConfigError(Exception):
    """The configuration file cannot be used; the message says why and names no value."""


def load_config(path: Path, model: type[ConfigModel]) -> ConfigModel:
    """Read and check a configuration file.

    Args:
        path: the JSON file.
        model: what it must be.

    Raises:
        ConfigError: the file cannot be read or is not what it must be.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from error
    try:
        return model.model_validate_json(content)
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(str(part) for part in fault['loc']) or '(all)'}: {fault['msg']}"
            for fault in error.errors(include_url=False, include_input=False, include_context=False)
        )
        raise ConfigError(f"{path}: {faults}") from None
