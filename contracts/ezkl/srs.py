"""An insecure KZG set-up on BN254 for tests: its secret is a hash of the words below, so everybody knows it.

Whoever knows the secret can prove anything. In return the whole of what is built on it, up to the Solidity verifier,
is the same on every machine and can be checked byte for byte, which no set-up of random toxic waste allows. The file
written is the one EZKL reads: log2 of the size, powers of the secret on G1, their Lagrange form, G2 and the secret
on G2; coordinates are 32 bytes, little endian, in Montgomery form.
"""

import hashlib
import struct
from pathlib import Path

SECRET_WORDS = b"capstan insecure set-up: for test vectors only"

BASE_FIELD = 21888242871839275222246405745257275088696311157297823662689037894645226208583
SCALAR_FIELD = 21888242871839275222246405745257275088548364400416034343698204186575808495617
# The scalar field has 2^28 roots of unity; 7 generates its multiplicative group.
TWO_ADICITY = 28
GENERATOR = 7

G1 = (1, 2)
# Coordinates are a + b*i with i^2 = -1.
G2 = (
    (
        10857046999023057135944570762232829481370756359578518086990519993285655852781,
        11559732032986387107991004021392285783925812861821192530917403151452391805634,
    ),
    (
        8495653923123431417604973247489272438418190587263600148770280649306958101930,
        4082367875863433681332203403145435568316851327593401208105741076214120093531,
    ),
)


class Fq:
    """The base field's few operations that adding points needs."""

    three = 3

    @staticmethod
    def sub(a, b):
        return (a - b) % BASE_FIELD

    @staticmethod
    def mul(a, b):
        return a * b % BASE_FIELD

    @staticmethod
    def inverse(a):
        return pow(a, -1, BASE_FIELD)


class Fq2:
    """The same for its quadratic extension."""

    three = (3, 0)

    @staticmethod
    def sub(a, b):
        return ((a[0] - b[0]) % BASE_FIELD, (a[1] - b[1]) % BASE_FIELD)

    @staticmethod
    def mul(a, b):
        return ((a[0] * b[0] - a[1] * b[1]) % BASE_FIELD, (a[0] * b[1] + a[1] * b[0]) % BASE_FIELD)

    @staticmethod
    def inverse(a):
        norm = pow(a[0] * a[0] + a[1] * a[1], -1, BASE_FIELD)
        return (a[0] * norm % BASE_FIELD, -a[1] * norm % BASE_FIELD)


def _add(field, p, q):
    """Affine addition; None is the point at infinity."""
    if p is None or q is None:
        return p or q
    if p[0] == q[0]:
        if p[1] != q[1]:
            return None
        double = field.sub(p[1], field.sub(field.sub(p[1], p[1]), p[1]))
        slope = field.mul(field.mul(field.three, field.mul(p[0], p[0])), field.inverse(double))
    else:
        slope = field.mul(field.sub(q[1], p[1]), field.inverse(field.sub(q[0], p[0])))
    x = field.sub(field.sub(field.mul(slope, slope), p[0]), q[0])
    return (x, field.sub(field.mul(slope, field.sub(p[0], x)), p[1]))


def _multiply(field, point, scalar):
    total = None
    while scalar:
        if scalar & 1:
            total = _add(field, total, point)
        point = _add(field, point, point)
        scalar >>= 1
    return total


def _raw(coordinate):
    return (coordinate * 2**256 % BASE_FIELD).to_bytes(32, "little")


def write_srs(path: Path, logrows: int) -> None:
    """Writes the set-up for circuits of up to 2^logrows rows; a second for a hundred rows."""
    rows = 2**logrows
    secret = int.from_bytes(hashlib.sha256(SECRET_WORDS).digest(), "big") % SCALAR_FIELD
    omega = pow(GENERATOR, (SCALAR_FIELD - 1) >> logrows, SCALAR_FIELD)
    vanishing = (pow(secret, rows, SCALAR_FIELD) - 1) * pow(rows, -1, SCALAR_FIELD)

    scalars = [pow(secret, i, SCALAR_FIELD) for i in range(rows)]
    for i in range(rows):
        root = pow(omega, i, SCALAR_FIELD)
        scalars.append(vanishing * root * pow(secret - root, -1, SCALAR_FIELD) % SCALAR_FIELD)

    with path.open("wb") as out:
        out.write(struct.pack("<I", logrows))
        for scalar in scalars:
            x, y = _multiply(Fq, G1, scalar)
            out.write(_raw(x) + _raw(y))
        for point in (G2, _multiply(Fq2, G2, secret)):
            out.write(b"".join(_raw(part) for coordinate in point for part in coordinate))
