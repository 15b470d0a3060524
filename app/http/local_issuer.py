"""The issuer of development: a key in the state folder, and tokens signed with it. A production setting never comes here."""

import os
import tempfile
import time
from pathlib import Path
from typing import Any, Self

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from app.settings import Settings

KEY_FILE = "issuer.pem"
KEY_ID = "local"
KEY_BITS = 2048


class LocalIssuer:
    """Signs tokens as Identity Platform would (RS256), and verifies them as a published key would."""

    def __init__(self, key: rsa.RSAPrivateKey, issuer: str, audience: str) -> None:
        """Issue with this key."""
        self._key = key
        self._public = key.public_key()
        self._issuer = issuer
        self._audience = audience

    @classmethod
    def load(cls, settings: Settings) -> Self:
        """The issuer of this state folder, its key made on first use. Raises PermissionError in production."""
        if settings.environment == "production":
            raise PermissionError("the local issuer is for development only")
        key = serialization.load_pem_private_key(_key_bytes(settings.state_dir / KEY_FILE), password=None)
        if not isinstance(key, rsa.RSAPrivateKey):
            raise ValueError(f"{settings.state_dir / KEY_FILE} is not an RSA key: delete it, and a new one is made")
        return cls(key, settings.auth_issuer, settings.auth_audience)

    def token(self, subject: str, roles: tuple[str, ...] = (), lifetime_seconds: int = 3600) -> str:
        """A token for this subject; about 0.4 ms."""
        now = int(time.time())
        claims: dict[str, Any] = {
            "iss": self._issuer,
            "aud": self._audience,
            "sub": subject,
            "iat": now,
            "exp": now + lifetime_seconds,
        }
        if roles:
            claims["roles"] = list(roles)
        return jwt.encode(claims, self._key, "RS256", headers={"kid": KEY_ID})

    def get_signing_key_from_jwt(self, _token: str) -> rsa.RSAPublicKey:
        """The one key there is; whether the token is signed with it is for the verification to say."""
        return self._public


def _key_bytes(path: Path) -> bytes:
    """The stored key; made, whole or not at all, when there is none, so that processes starting together share one."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        key = rsa.generate_private_key(public_exponent=65537, key_size=KEY_BITS)
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as draft:
            draft.write(pem)
        try:
            os.link(draft.name, path)
        except FileExistsError:
            pass  # another process was first: its key counts
        finally:
            Path(draft.name).unlink()
    return path.read_bytes()
