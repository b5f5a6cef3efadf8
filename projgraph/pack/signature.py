"""Ed25519 signatures of model files, in a file of their own beside them; it knows nothing of what is in a model.

A signature is the 64 bytes R || S of RFC 8032, section 5.1.6 (Ed25519 itself, neither ph nor ctx), over the whole file.
`MODEL.pgb.sig` holds these 64 bytes and nothing else. Keys are PEM files as ``openssl genpkey -algorithm ed25519``
writes them; a device needs the 32 bytes of the public key alone.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from projgraph.atomic import atomic_create, atomic_write, check_target
from projgraph.errors import InputError, MissingExtraError, ModelFileError, SignatureError
from projgraph.native import NativeBundle, NativeModel
from projgraph.pack.format import BUNDLE_MAGIC
from projgraph.pack.sections import model_file_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

SIGNATURE_BYTES = 64
PRIVATE_MODE = 0o600
_KEY_BYTES = 1 << 16
"""No PEM file of a key is as long; whatever else is given is not read whole."""


@dataclass(frozen=True)
class KeyPair:
    """Where the two keys are, and the public one as 64 hexadecimal digits, for a device."""

    private: Path
    public: Path
    public_key: str


@dataclass(frozen=True)
class Signed:
    """A signature: where it is, of how many bytes, and the public key that it is verified by."""

    signature: Path
    bytes: int
    public_key: str


def new_key(path: Path) -> KeyPair:
    """Make a key pair: the private key at the path, for its owner alone, the public one beside it.

    Args:
        path: of the private key, `NAME.pem`; the public one is `NAME.pub.pem`.

    Raises:
        MissingExtraError: the package cryptography is not installed.
        OutputError: something is there already, or the system refuses to write; neither file is left.
    """
    with _cryptography():
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    key = Ed25519PrivateKey.generate()
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    shown = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    made = check_target(path)  # where a link leads, if it is one; a path without a name has no suffix either
    public = path.with_suffix(".pub.pem")
    atomic_create(path, secret, PRIVATE_MODE)
    try:
        atomic_create(public, shown)
    except BaseException:
        made.unlink()
        raise
    return KeyPair(path, public, _digits(key.public_key()))


def sign(model: Path, key: Path, out: Path | None = None) -> Signed:
    """Sign a model or a bundle; the same bytes and key give the same signature.

    Args:
        model: the file, which must be one that this version can run.
        key: the private key, PEM without a password.
        out: where to write the signature; `MODEL.pgb.sig` if left out.

    Raises:
        MissingExtraError: the package cryptography is not installed.
        InputError: the model or the key cannot be read, or the key is of another kind.
        ModelFileError: the file is no model.
        OutputError: the signature cannot be written, or would replace the model or the key.
    """
    secret = _private_key(key)
    target = out or signature_path(model)
    check_target(target, (model, key))
    data, name = model_file_bytes(model)
    try:
        NativeBundle(data) if data.startswith(BUNDLE_MAGIC) else NativeModel(data)
    except ModelFileError as error:
        raise ModelFileError(f"{name}: {error}") from error
    atomic_write(target, secret.sign(data))
    return Signed(target, len(data), _digits(secret.public_key()))


def verify(model: Path, key: Path, signature: Path | None = None) -> Signed:
    """Check that a file is, byte for byte, what the owner of a key signed; nothing in it is looked at before.

    Args:
        model: the file.
        key: the public key, PEM.
        signature: `MODEL.pgb.sig` if left out.

    Raises:
        MissingExtraError: the package cryptography is not installed.
        InputError: a file cannot be read, or the key is of another kind.
        SignatureError: the signature has another length, or does not fit the file and the key.
    """
    public = _public_key(key)
    path = signature or signature_path(model)
    found = _read(path, "a signature", SIGNATURE_BYTES)
    data, name = model_file_bytes(model)
    if len(found) != SIGNATURE_BYTES:
        length = f"more than {SIGNATURE_BYTES}" if len(found) > SIGNATURE_BYTES else len(found)
        raise SignatureError(f"{path} has {length} bytes; expected the {SIGNATURE_BYTES} of an Ed25519 signature")
    from cryptography.exceptions import InvalidSignature

    try:
        public.verify(found, data)
    except InvalidSignature as error:
        raise SignatureError(
            f"{name} is not what was signed: {path} does not fit its {len(data)} bytes and the key {key}; "
            "do not use the file: fetch it and its signature again, and check that the key is the signer's"
        ) from error
    return Signed(path, len(data), _digits(public))


def signature_path(model: Path) -> Path:
    """Where the signature of a model is looked for: `MODEL.pgb.sig`.

    Raises:
        InputError: the path has no name that this could be made of.
    """
    if not model.name:
        raise InputError(f"cannot read {str(model)!r}: it is a folder; expected a .pgb model file")
    return model.with_name(f"{model.name}.sig")


def _private_key(path: Path) -> Ed25519PrivateKey:
    with _cryptography():
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.serialization import load_pem_private_key
    data = _read(path, "a private key", _KEY_BYTES)
    if b"-----BEGIN PUBLIC KEY-----" in data:
        raise InputError(f"{path} holds a public key; expected the private one, which projgraph sign --new-key makes")
    try:
        key = load_pem_private_key(data, None)
    except TypeError as error:  # what the library raises where a password is missing
        raise InputError(
            f"{path} is encrypted; expected a private key without a password: "
            f"openssl pkey -in {path} -out OTHER.pem takes it away"
        ) from error
    except Exception as error:  # several of its own for what is no key, or of a curve that it does not know
        raise InputError(f"{path} holds no private key in PEM; expected one of projgraph sign --new-key") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise InputError(_other_kind(path, key))
    return key


def _public_key(path: Path) -> Ed25519PublicKey:
    with _cryptography():
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
        from cryptography.hazmat.primitives.serialization import load_pem_public_key
    data = _read(path, "a public key", _KEY_BYTES)
    if b"PRIVATE KEY-----" in data:
        raise InputError(
            f"{path} holds a private key; expected the public one, which projgraph sign --new-key leaves beside it "
            "(NAME.pub.pem): the private one stays with the signer"
        )
    try:
        key = load_pem_public_key(data)
    except Exception as error:
        raise InputError(f"{path} holds no public key in PEM; expected NAME.pub.pem of sign --new-key") from error
    if not isinstance(key, Ed25519PublicKey):
        raise InputError(_other_kind(path, key))
    return key


def _other_kind(path: Path, key: object) -> str:
    kind = type(key).__name__.removesuffix("PrivateKey").removesuffix("PublicKey").lstrip("_")
    return f"{path} holds a key of another kind ({kind}); expected Ed25519: projgraph sign --new-key NAME.pem makes one"


def _read(path: Path, what: str, longest: int) -> bytes:
    """A file's bytes, and one more than the longest at most."""
    try:
        with path.open("rb") as file:
            return file.read(longest + 1)
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the path
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"cannot read {str(path)!r}: {reason}; expected the file of {what}") from error


def _digits(key: Any) -> str:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return bytes(key.public_bytes(Encoding.Raw, PublicFormat.Raw)).hex()


@contextmanager
def _cryptography() -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        raise MissingExtraError(
            "signatures need the package cryptography, which is not installed: pip install 'projgraph[sign]'"
        ) from error
