"""Datagrams as nodes make them, in Python: written after docs/wire-format.md, and so a check of it. Needs
PyNaCl (Debian: python3-nacl)."""

import hashlib
import os
import struct

from nacl.bindings import (
    crypto_aead_xchacha20poly1305_ietf_decrypt,
    crypto_aead_xchacha20poly1305_ietf_encrypt,
)

DATAGRAM_BYTES_MAX = 1200
CLEAR_BYTES = 8  # magic, version, scheme, reserved
NONCE_BYTES, TAG_BYTES = 24, 16
SEALED_OFFSET = CLEAR_BYTES + NONCE_BYTES + TAG_BYTES
HEADER_BYTES = 120

ACCEPT, CREDENTIALS, SAVED, NOT_YET, REFUSED = 1, 2, 3, 4, 5
VOTE_REQUEST, VOTE_REPLY, HEARTBEAT, HEARTBEAT_REPLY = 17, 18, 19, 20


def write_secret(path, secret=None):
    """Makes a secret file as nodes want it; the secret."""
    secret = secret or os.urandom(32)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(secret.hex() + "\n")
    return secret


def derive(key, purpose, data=b"", size=32):
    return hashlib.blake2b(data, key=key, person=purpose, digest_size=size).digest()


def datagram_key(secret):
    return derive(secret, b"coracle-datagram")


def stream_keys(secret, leader_random, follower_random):
    """(to the follower, to the leader)"""
    both = derive(derive(secret, b"coracle-streams"), b"coracle-stream", leader_random + follower_random, 64)
    return both[:32], both[32:]


def plain(kind, body=b"", cluster=b"\0" * 16, sender=0, to=0, start=1, counter=1, term=0, round_=0):
    """What is sealed of a datagram."""
    numbers = struct.pack("<6Q", sender, to, start, counter, term, round_)
    return struct.pack("<B7s", kind, b"\0" * 7) + cluster + numbers + body


def seal(secret, content, magic=b"CRCL", version=1, scheme=1, reserved=0, nonce=None):
    """A whole datagram."""
    clear = struct.pack("<4sBBH", magic, version, scheme, reserved)
    nonce = nonce or os.urandom(NONCE_BYTES)
    sealed = crypto_aead_xchacha20poly1305_ietf_encrypt(content, clear, nonce, datagram_key(secret))
    return clear + nonce + sealed[-TAG_BYTES:] + sealed[:-TAG_BYTES]


def unseal(secret, datagram):
    """What is in a datagram, or nacl.exceptions.CryptoError."""
    tag, sealed = datagram[SEALED_OFFSET - TAG_BYTES : SEALED_OFFSET], datagram[SEALED_OFFSET:]
    nonce = datagram[CLEAR_BYTES : CLEAR_BYTES + NONCE_BYTES]
    return crypto_aead_xchacha20poly1305_ietf_decrypt(
        sealed + tag, datagram[:CLEAR_BYTES], nonce, datagram_key(secret)
    )


def seal_frame(key, number, kind, payload):
    """The frame of that number, from 0, of a direction of a stream."""
    length = struct.pack("<I", len(payload))
    nonce = struct.pack("<Q", number) + b"\0" * (NONCE_BYTES - 8)
    sealed = crypto_aead_xchacha20poly1305_ietf_encrypt(bytes([kind]) + payload, length, nonce, key)
    return length + sealed[-TAG_BYTES:] + sealed[:-TAG_BYTES]


def unseal_frame(key, number, data):
    """(type, payload) of the frame at the front, and how long it is."""
    (size,) = struct.unpack_from("<I", data)
    end = 4 + TAG_BYTES + 1 + size
    assert len(data) >= end
    nonce = struct.pack("<Q", number) + b"\0" * (NONCE_BYTES - 8)
    content = crypto_aead_xchacha20poly1305_ietf_decrypt(
        data[4 + TAG_BYTES : end] + data[4 : 4 + TAG_BYTES], data[:4], nonce, key
    )
    return content[0], content[1:], end
