"""Proofs of the sample model for ProofSystem, with EZKL: see README.md.

prove.py write                                   model, circuit, verifier and proofs from scratch: rewrites the vectors
prove.py check                                   the same from scratch, compared with what is committed
prove.py prove --binding HEX --input 1,-2,3,4    one more proof, as JSON on standard output
prove.py binding --job HEX [--chain N] [--marketplace ADDRESS] [--proof-system ADDRESS]
"""

import argparse
import hashlib
import importlib.metadata
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from Crypto.Hash import keccak

import circuit as circuits
from circuit import Circuit

HERE = Path(__file__).resolve().parent
SOURCE = HERE / "verifier" / "Halo2Verifier.sol"
BYTECODE = HERE / "verifier" / "Halo2Verifier.json"
VECTORS = HERE / "vectors.json"

# Where the contracts stand that the vectors are made for; tests put theirs there.
CHAIN = 31337
MARKETPLACE = "0x00000000000000000000000000000000CA957A00"
PROOF_SYSTEM = "0x00000000000000000000000000000000CA957A01"
INPUT = [1, -2, 3, 4]
# The model computes 11, 0, 18.
CLAIM = [12, 0, 18]


def keccak256(data: bytes) -> bytes:
    return keccak.new(digest_bits=256, data=data).digest()


JOB = keccak256(b"capstan ezkl vector job")
NAMES = ["job", "again", "otherJob", "otherModel", "falseResult"]


def word(value: int | bytes | str) -> bytes:
    """One word of ABI encoding. Text is hexadecimal and a number."""
    if isinstance(value, bytes):
        return value.rjust(32, b"\0")
    return (int(value, 16) if isinstance(value, str) else value).to_bytes(32, "big")


def words(*values: int | bytes | str) -> bytes:
    return b"".join(word(value) for value in values)


def hexed(data: bytes) -> str:
    return "0x" + data.hex()


def sha256(data: bytes) -> str:
    return hexed(hashlib.sha256(data).digest())


def other_job(identifier: bytes, model: bytes) -> bytes:
    """JobMarketplace.jobIdOf the terms that test/JobProofs.t.sol posts: the vectors' other job is a whole one."""
    renter, price, deadline = 0xA11CE, 10**18, 1_800_086_400
    instances = circuits.instances_of(INPUT, bytes(32), [0] * circuits.OUTPUTS)[: circuits.INPUTS]
    return keccak256(words(renter, 0, 0, price, deadline, model, keccak256(words(*instances)), identifier, 0, 0))


def circuit_id(code_hash: bytes, model: bytes) -> bytes:
    """ProofSystem.circuitId."""
    return keccak256(words(code_hash, model, circuits.INPUTS, circuits.BINDING_LIMBS, circuits.OUTPUTS))


def binding_of(chain: int, marketplace: str, proof_system: str, job: bytes, circuit: bytes, model: bytes) -> bytes:
    """ProofSystem.bindingOf."""
    domain = keccak256(b"capstan.ProofBinding.v1")
    return keccak256(words(domain, chain, marketplace, proof_system, job, circuit, model))


def encoded(instances: list[int], proof: bytes) -> bytes:
    """abi.encode(bytes, uint256[]): the `proof` argument of ProofSystem.consume."""
    padded = proof.ljust(-(-len(proof) // 32) * 32, b"\0")
    return words(0x40, 0x60 + len(padded), len(proof)) + padded + words(len(instances), *instances)


def described(instances: list[int], proof: bytes, values: list[int], binding: bytes) -> dict:
    """A proof as JSON. Hashes are the job's: keccak256 over the words of its input and of its output."""
    calldata = encoded(instances, proof)
    return {
        "input": values,
        "binding": hexed(binding),
        "inputHash": hexed(keccak256(words(*instances[: circuits.INPUTS]))),
        "resultHash": hexed(keccak256(words(*instances[-circuits.OUTPUTS :]))),
        "instances": [hexed(word(instance)) for instance in instances],
        "proof": hexed(proof),
        "encoded": hexed(calldata),
        "sha256": sha256(calldata),
    }


def made(circuit: Circuit, values: list[int], binding: bytes) -> dict:
    """A new proof, tried before it is handed out."""
    instances, proof = circuits.prove(circuit, values, binding)
    if instances != circuits.instances_of(values, binding, circuits.output_of(circuit.weights, values)):
        raise RuntimeError("the circuit computes something else than the model")
    if not circuits.verifies(circuit, instances, proof):
        raise RuntimeError("ezkl refuses its own proof")
    return described(instances, proof, values, binding)


def statement(circuit: Circuit, code_hash: bytes) -> dict:
    """What the vectors say about the circuit: nothing in it depends on chance."""
    model = hashlib.sha256(circuit.model).digest()
    identifier = circuit_id(code_hash, model)
    here = (CHAIN, MARKETPLACE, PROOF_SYSTEM)
    source = circuits.solidity(circuit)
    return {
        "ezkl": importlib.metadata.version("ezkl"),
        "logrows": circuits.LOGROWS,
        "weights": circuit.weights,
        "model": hexed(model),
        "verifyingKey": sha256(circuit.verifying_key),
        "verifierSource": sha256(source.encode()),
        # The key as the transcript takes it in: a constant of the verifier.
        "verifierDigest": re.search(r"(0x[0-9a-f]{64})\) // vk_digest", source)[1],
        "verifierCodeHash": hexed(code_hash),
        "circuit": hexed(identifier),
        "inputs": circuits.INPUTS,
        "bindingLimbs": circuits.BINDING_LIMBS,
        "outputs": circuits.OUTPUTS,
        "chain": CHAIN,
        "marketplace": MARKETPLACE,
        "proofSystem": PROOF_SYSTEM,
        "job": hexed(JOB),
        "otherJob": hexed(other_job(identifier, model)),
        "binding": hexed(binding_of(*here, JOB, identifier, model)),
        "otherBinding": hexed(binding_of(*here, other_job(identifier, model), identifier, model)),
    }


def code_hash_of(bytecode: Path) -> bytes:
    return keccak256(bytes.fromhex(json.loads(bytecode.read_text())["deployedBytecode"].removeprefix("0x")))


def compiled(command: str) -> bool:
    return subprocess.run(["node", str(HERE / "compile.mjs"), command], check=False).returncode == 0


def write(folders: tuple[Path, Path]) -> int:
    circuit, other = circuits.build(folders[0]), circuits.build(folders[1], circuits.OTHER_WEIGHTS)
    SOURCE.parent.mkdir(exist_ok=True)
    SOURCE.write_text(circuits.solidity(circuit))
    if not compiled("write"):
        return 1
    vectors = statement(circuit, code_hash_of(BYTECODE))
    job, other_job = (bytes.fromhex(vectors[name][2:]) for name in ("binding", "otherBinding"))
    vectors["proofs"] = {
        "job": made(circuit, INPUT, job),
        # Proofs are made with random blinding: the same statement, other bytes.
        "again": made(circuit, INPUT, job),
        "otherJob": made(circuit, INPUT, other_job),
        # A true proof about another model.
        "otherModel": made(other, INPUT, job),
        # What a liar can make with the right model: nothing that verifies.
        "falseResult": described(*circuits.prove(circuit, INPUT, job, CLAIM), INPUT, job),
    }
    VECTORS.write_text(json.dumps(vectors, indent=2) + "\n")
    return 0


def check(folders: tuple[Path, Path]) -> int:
    circuit, other = circuits.build(folders[0]), circuits.build(folders[1], circuits.OTHER_WEIGHTS)
    committed = json.loads(VECTORS.read_text())
    proofs = committed.pop("proofs")
    mistakes = []
    if SOURCE.read_text() != circuits.solidity(circuit):
        mistakes.append("the verifier's source is not what ezkl writes")
    if not compiled("check"):
        mistakes.append("the verifier's bytecode is not what its source compiles to")
    for name, value in statement(circuit, code_hash_of(BYTECODE)).items():
        if committed.pop(name, None) != value:
            mistakes.append(f"{name} should be {value}")
    mistakes += [f"{name} is of no use" for name in committed]
    if list(proofs) != NAMES:
        mistakes.append(f"the proofs should be {', '.join(NAMES)}")
    for name, proof in proofs.items():
        mistakes += [f"proof {name}: {mistake}" for mistake in mistakes_of(circuit, other, name, proof)]
    for mistake in mistakes:
        print(mistake, file=sys.stderr)
    return 1 if mistakes else 0


def mistakes_of(circuit: Circuit, other: Circuit, name: str, vector: dict) -> list[str]:
    """A committed proof cannot be made again, so it is verified, and refused wherever it is not about this."""
    own, foreign = (other, circuit) if name == "otherModel" else (circuit, other)
    model = hashlib.sha256(circuit.model).digest()
    identifier = circuit_id(code_hash_of(BYTECODE), model)
    job = other_job(identifier, model) if name == "otherJob" else JOB
    binding = binding_of(CHAIN, MARKETPLACE, PROOF_SYSTEM, job, identifier, model)
    output = CLAIM if name == "falseResult" else circuits.output_of(own.weights, INPUT)
    instances = circuits.instances_of(INPUT, binding, output)
    proof = bytes.fromhex(vector["proof"][2:])
    mistakes = []
    if vector != described(instances, proof, INPUT, binding):
        mistakes.append("is not what it should be about")
    if circuits.verifies(own, instances, proof) != (name != "falseResult"):
        mistakes.append("verifies and should not, or the other way round")
    if circuits.verifies(foreign, instances, proof):
        mistakes.append("verifies for another model")
    for at in range(len(instances)):
        if circuits.verifies(own, [*instances[:at], instances[at] + 1, *instances[at + 1 :]], proof):
            mistakes.append(f"verifies with another instance {at}")
    return mistakes


def prove(folder: Path, binding: bytes, values: list[int]) -> int:
    print(json.dumps(made(circuits.build(folder), values, binding), indent=2))
    return 0


def binding(job: bytes, chain: int, marketplace: str, proof_system: str) -> int:
    vectors = json.loads(VECTORS.read_text())
    circuit, model = (bytes.fromhex(vectors[name][2:]) for name in ("circuit", "model"))
    print(hexed(binding_of(chain, marketplace, proof_system, job, circuit, model)))
    return 0


def hex_bytes(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))


def numbers(text: str) -> list[int]:
    return [int(number) for number in text.split(",")]


def main() -> int:
    parser = argparse.ArgumentParser(description="Proofs of the sample model for ProofSystem.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("write", help="rewrite verifier and vectors")
    commands.add_parser("check", help="compare verifier and vectors with a fresh build")
    one = commands.add_parser("prove", help="print one more proof")
    one.add_argument("--binding", type=hex_bytes, required=True, help="32 bytes: ProofSystem.bindingOf")
    one.add_argument("--input", type=numbers, default=INPUT, help="four integers, as in --input=1,-2,3,4")
    bound = commands.add_parser("binding", help="print what ProofSystem.bindingOf answers for the sample circuit")
    bound.add_argument("--job", type=hex_bytes, required=True)
    bound.add_argument("--chain", type=int, default=CHAIN)
    bound.add_argument("--marketplace", default=MARKETPLACE)
    bound.add_argument("--proof-system", default=PROOF_SYSTEM)
    options = parser.parse_args()
    if options.command == "binding":
        return binding(options.job, options.chain, options.marketplace, options.proof_system)
    try:
        with tempfile.TemporaryDirectory() as first, tempfile.TemporaryDirectory() as second:
            if options.command == "prove":
                return prove(Path(first), options.binding, options.input)
            return {"write": write, "check": check}[options.command]((Path(first), Path(second)))
    except (RuntimeError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
