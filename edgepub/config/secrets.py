"""The broker's password and the page's token: from the settings, a file, or a credential of the service manager."""

import os
from pathlib import Path

from pydantic import SecretStr

from edgepub.config.mqtt import MqttSettings
from edgepub.config.settings import HttpSettings
from edgepub.config.text_file import read_text

PASSWORD_CREDENTIAL, TOKEN_CREDENTIAL = "mqtt_password", "http_token"
"""Names of the credentials that the service manager may pass."""
CREDSTORE = Path("/etc/credstore")
"""systemd reads the credentials here, each as `edgepub.<credential>`. Commands that root runs read them here too, so
that they use and check the same secrets as the service. Only root can list this directory."""
HOW_TO_MAKE_ONE = "make one with `openssl rand -hex 16`"
_MIN_TOKEN_LENGTH = 16
_MAX_PASSWORD_BYTES = 65_535


def read_broker_password(mqtt: MqttSettings, credstore: Path = CREDSTORE) -> SecretStr | None:
    """Return the broker's password, or None if none is configured.

    Args:
        mqtt: the settings of the broker.
        credstore: the directory of systemd's credentials, read if a user name is configured.

    Raises:
        ValueError: the file is empty or cannot be read, or there is a credential but no user name.

    """
    if mqtt.password is not None:
        _check_password(mqtt.password.get_secret_value())
        return mqtt.password
    path = mqtt.password_file or _find_credential(PASSWORD_CREDENTIAL, credstore if mqtt.username else None)
    if path is None:
        return None
    password = read_secret("password", path)
    if mqtt.username is None:
        if not password:  # the file was created but never filled in, because the broker wants no password
            return None
        raise ValueError(f"username is missing: the credential {PASSWORD_CREDENTIAL} needs a user name")
    if not password:
        raise ValueError(f"the password file is empty: {path}")
    _check_password(password)
    return SecretStr(password)


def read_http_token(http: HttpSettings, credstore: Path = CREDSTORE) -> SecretStr | None:
    """Return the token that HTTP clients must send, or None if none is configured.

    Args:
        http: the settings of the HTTP server.
        credstore: the directory of systemd's credentials, read if these settings require a token.

    Raises:
        ValueError: the file cannot be read, or its token is not usable.

    """
    requires_token = not http.is_on_loopback or http.allow_edit
    path = http.token_file or _find_credential(TOKEN_CREDENTIAL, credstore if requires_token else None)
    if path is None:
        return None
    token = read_secret("token", path)
    if not token:
        raise ValueError(f"the token file is empty: {path}; {HOW_TO_MAKE_ONE}")
    if not all("!" <= character <= "~" for character in token):
        raise ValueError(f"the token must be printable ASCII on one line, without spaces: {path}; {HOW_TO_MAKE_ONE}")
    if len(token) < _MIN_TOKEN_LENGTH:
        raise ValueError(f"the token must have at least {_MIN_TOKEN_LENGTH} characters: {path}; {HOW_TO_MAKE_ONE}")
    return SecretStr(token)


def _check_password(password: str) -> None:
    """Raise ValueError if MQTT cannot carry a password (MQTT 5.0, 1.5.6)."""
    try:
        size = len(password.encode())
    except UnicodeEncodeError:  # in the environment, or as an escape in YAML
        raise ValueError("the password is not UTF-8 text") from None
    if size > _MAX_PASSWORD_BYTES:
        raise ValueError(f"the password has {size} bytes; MQTT allows {_MAX_PASSWORD_BYTES}")


def read_secret(kind: str, path: Path) -> str:
    """Return the content of a file without the end of its line.

    Raises:
        ValueError: the file cannot be read as text; `kind` names the secret in the error's text.

    """
    try:
        return read_text(path).rstrip("\r\n")
    except OSError as error:
        raise ValueError(f"the {kind} file cannot be read: {error.strerror}: {path}") from None
    except ValueError as error:
        raise ValueError(f"the {kind} file {error}: {path}") from None


def _find_credential(name: str, credstore: Path | None) -> Path | None:
    """Return the file of a credential, or None if there is none."""
    paths = [Path(os.environ.get("CREDENTIALS_DIRECTORY", "/nonexistent"), name)]
    if credstore:
        paths.append(credstore / f"edgepub.{name}")
    return next((path for path in paths if os.path.lexists(path)), None)
